"""The planted truth as tables: the listeners' positions in the taste space, and the tracks that each listener prefers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa

from soundlake.generator.model import places
from soundlake.generator.model.archetypes import ARCHETYPES
from soundlake.generator.model.catalogue import Catalogue
from soundlake.generator.model.library import measure_drift
from soundlake.generator.model.listeners import Cohort, make_cohort
from soundlake.generator.model.randomness import Floats
from soundlake.generator.model.tastes import DRIFT_STEPS
from soundlake.generator.model.world import World

TOP_TRACKS = 100
_COHORT_SIZE = 256


def list_preferences(world: World, *, most_listeners: int = 10_000) -> Iterator[pa.Table]:
    """The TOP_TRACKS tracks of each listener by true preference, best first: `user_id`, `track_id`, `preference`, `rank` from 1 on.

    The preference is the probability that a newly discovered favourite of the listener is this track. It does not depend on past plays,
    nor on the shared editorial lists. Tastes are those of the world's last day.
    """
    for first in range(0, min(world.config.listeners, most_listeners), _COHORT_SIZE):
        numbers = np.arange(first, min(first + _COHORT_SIZE, world.config.listeners, most_listeners))
        cohort = make_cohort(world.catalogue, world.config.seed, numbers)
        yield _rank(world, cohort, compute_preferences(cohort, _find_last_day(world)))


def describe_listeners(world: World, *, most_listeners: int = 10_000) -> pa.Table:
    """The listeners: country, time zone, plan, mixture of archetypes, position in the taste space, clusters of interest."""
    numbers = np.arange(min(world.config.listeners, most_listeners))
    listeners = make_cohort(world.catalogue, world.config.seed, numbers).listeners
    drift, names = measure_drift(listeners, numbers, _find_last_day(world)), world.catalogue.cluster_name
    return pa.table(
        {
            "user_id": [world.name_listener(number) for number in numbers.tolist()],
            "country": [places.PLACES[place][0] for place in listeners.place.tolist()],
            "time_zone": [places.PLACES[place][1] for place in listeners.place.tolist()],
            "plan": np.where(listeners.is_free, "free", "premium"),
            **{f"share_{archetype}": listeners.mixture[:, place] for place, archetype in enumerate(ARCHETYPES)},
            "interests_from": [[names[cluster] for cluster in ends[0]] for ends in listeners.interest_cluster.tolist()],
            "interests_to": [[names[cluster] for cluster in ends[1]] for ends in listeners.interest_cluster.tolist()],
            "drift": drift,
            "position": listeners.path[numbers, np.rint(drift * DRIFT_STEPS).astype(np.int64)].tolist(),
        }
    )


def describe_tracks(catalogue: Catalogue) -> pa.Table:
    """The tracks: cluster, position of their artist in the taste space, share of the total popularity."""
    cluster = np.repeat(np.arange(len(catalogue.cluster_name)), np.diff(catalogue.cluster_first))
    return pa.table(
        {
            "track_id": catalogue.track_id,
            "cluster": pa.array(catalogue.cluster_name).take(pa.array(cluster[catalogue.track_artist])),
            "popularity": np.diff(catalogue.track_popularity_cumsum) / catalogue.track_popularity_cumsum[-1],
            "position": catalogue.artist_position[catalogue.track_artist].tolist(),
        }
    )


def compute_preferences(cohort: Cohort, day: int) -> Floats:
    """The probability that each track (a column) is discovered by each listener (a row) on a day: see `library.discover_artists`."""
    catalogue, listeners = cohort.catalogue, cohort.listeners
    rows = np.arange(len(listeners.key))
    drift = measure_drift(listeners, rows, day)
    position = listeners.path[rows, np.rint(drift * DRIFT_STEPS).astype(np.int64)]
    artists = np.zeros((len(listeners.key), catalogue.artists))
    cluster_chance = _compute_cluster_chances(cohort, drift)
    for cluster in range(len(catalogue.cluster_name)):
        part = slice(catalogue.cluster_first[cluster], catalogue.cluster_first[cluster + 1])
        weight = np.diff(catalogue.artist_popularity_cumsum)[part]
        affinity = position @ catalogue.artist_position[part].T
        obscure = listeners.obscure_share[:, None]
        chance = (1 - obscure) * _compute_win_chances(weight / weight.sum(), affinity) + obscure * _compute_win_chances(
            np.full(len(weight), 1 / len(weight)), affinity
        )
        artists[:, part] = cluster_chance[:, cluster, None] * chance
    artists *= 1 - listeners.favourite_artist_share[:, None]
    artists[np.arange(len(artists)), listeners.favourite_artist] += listeners.favourite_artist_share
    weight = np.diff(catalogue.track_popularity_cumsum)
    of_artist = np.bincount(catalogue.track_artist, weight)
    return np.asarray(artists[:, catalogue.track_artist] * (weight / of_artist[catalogue.track_artist]))


def _find_last_day(world: World) -> int:
    """The world's last day, counted from 1970-01-01."""
    return (world.config.end - date(1970, 1, 1)).days - 1


def _compute_cluster_chances(cohort: Cohort, drift: Floats) -> Floats:
    """The probability that each listener at this drift chooses each cluster."""
    listeners, clusters = cohort.listeners, len(cohort.catalogue.cluster_name)
    cluster_chance = np.repeat(listeners.wander_share[:, None] / clusters, clusters, axis=1)
    weight = np.diff(listeners.interest_cdf, axis=1, prepend=0.0) * (1 - listeners.wander_share[:, None])
    for end, share in enumerate((1.0 - drift, drift)):
        clusters_of_end = listeners.interest_cluster[:, end]
        np.put_along_axis(
            cluster_chance, clusters_of_end, np.take_along_axis(cluster_chance, clusters_of_end, 1) + share[:, None] * weight, 1
        )
    return cluster_chance


def _compute_win_chances(chance: Floats, affinity: Floats) -> Floats:
    """The probability that each candidate is drawn and is the closer one of the two drawn."""
    order = np.argsort(affinity, axis=1)
    sorted_chance = chance[order]
    below = np.cumsum(sorted_chance, axis=1) - sorted_chance
    won = np.empty_like(affinity, dtype=float)
    np.put_along_axis(won, order, sorted_chance**2 + 2 * sorted_chance * below, 1)
    return won


def _rank(world: World, cohort: Cohort, preference: Floats) -> pa.Table:
    count = min(TOP_TRACKS, preference.shape[1])
    best = np.argpartition(-preference, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(preference, best, 1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, 1)
    users = pa.array([world.name_listener(number) for number in cohort.listeners.number.tolist()])
    return pa.table(
        {
            "user_id": users.take(pa.array(np.repeat(np.arange(len(best)), count))),
            "track_id": world.catalogue.track_id.take(pa.array(best.ravel())),
            "preference": np.take_along_axis(preference, best, 1).ravel(),
            "rank": np.tile(np.arange(1, count + 1), len(best)),
        }
    )
