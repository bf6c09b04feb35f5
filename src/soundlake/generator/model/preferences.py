"""What is planted, written out: where listeners stand in the taste space, and what each would most like to hear."""

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
_BLOCK = 256


def list_preferences(world: World, *, most_listeners: int = 10_000) -> Iterator[pa.Table]:
    """The BEST tracks of each listener by true preference, best first: `user_id`, `track_id`, `preference`, `rank` from 1 on.

    The preference is the chance that a new favourite of the listener is this track. It is what discoveries are drawn from, so what they
    have heard already does not enter into it, nor what all hear from the same editorial lists. Tastes are those of the world's last day.
    """
    for first in range(0, min(world.config.listeners, most_listeners), _BLOCK):
        numbers = np.arange(first, min(first + _BLOCK, world.config.listeners, most_listeners))
        cohort = make_cohort(world.catalogue, world.config.seed, numbers)
        yield _rank(world, cohort, compute_preferences(cohort, _find_last_day(world)))


def describe_listeners(world: World, *, most_listeners: int = 10_000) -> pa.Table:
    """Who the listeners are: country, zone, plan, mixture of archetypes, place in the taste space, clusters of interest."""
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
    """What the tracks are: cluster, place of their artist in the taste space, share of all popularity."""
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
    """The chance of each track (a column) to be that day's discovery of each listener (a row), as `library.discover_artists` draws it."""
    catalogue, listeners = cohort.catalogue, cohort.listeners
    rows = np.arange(len(listeners.key))
    drift = measure_drift(listeners, rows, day)
    position = listeners.path[rows, np.rint(drift * DRIFT_STEPS).astype(np.int64)]
    artists = np.zeros((len(listeners.key), catalogue.artists))
    turning = _compute_cluster_chances(cohort, drift)
    for cluster in range(len(catalogue.cluster_name)):
        part = slice(catalogue.cluster_first[cluster], catalogue.cluster_first[cluster + 1])
        weight = np.diff(catalogue.artist_popularity_cumsum)[part]
        affinity = position @ catalogue.artist_position[part].T
        obscure = listeners.obscure_share[:, None]
        chance = (1 - obscure) * _compute_win_chances(weight / weight.sum(), affinity) + obscure * _compute_win_chances(
            np.full(len(weight), 1 / len(weight)), affinity
        )
        artists[:, part] = turning[:, cluster, None] * chance
    artists *= 1 - listeners.favourite_artist_share[:, None]
    artists[np.arange(len(artists)), listeners.favourite_artist] += listeners.favourite_artist_share
    weight = np.diff(catalogue.track_popularity_cumsum)
    of_artist = np.bincount(catalogue.track_artist, weight)
    return np.asarray(artists[:, catalogue.track_artist] * (weight / of_artist[catalogue.track_artist]))


def _find_last_day(world: World) -> int:
    """The last day that the world is told for, counted from 1970-01-01."""
    return (world.config.end - date(1970, 1, 1)).days - 1


def _compute_cluster_chances(cohort: Cohort, drift: Floats) -> Floats:
    """How likely each listener, so far on their way, turns to each cluster."""
    listeners, clusters = cohort.listeners, len(cohort.catalogue.cluster_name)
    turning = np.repeat(listeners.wander_share[:, None] / clusters, clusters, axis=1)
    weight = np.diff(listeners.interest_cdf, axis=1, prepend=0.0) * (1 - listeners.wander_share[:, None])
    for end, share in enumerate((1.0 - drift, drift)):
        places_of = listeners.interest_cluster[:, end]
        np.put_along_axis(turning, places_of, np.take_along_axis(turning, places_of, 1) + share[:, None] * weight, 1)
    return turning


def _compute_win_chances(chance: Floats, affinity: Floats) -> Floats:
    """The chance of each candidate to be drawn and, of two drawn, to be the nearer one."""
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
