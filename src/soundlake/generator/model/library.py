"""The personal library of each listener. It is not stored: each slot is a hash of listener, slot and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soundlake.generator.model.listeners import Cohort, Listeners
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, choose, draw, draw_pair, draw_rank, find_distinct
from soundlake.generator.model.tastes import DRIFT_STEPS

_SHORTEST_LIFE_DAYS, _LIFE_SPREAD_DAYS = 25.0, 400.0


def find_artists(cohort: Cohort, rows: Ints, slots: Ints, days: Ints) -> Ints:
    """The artist in a slot of the listener's library on a day; a slot gets another artist after weeks to a year."""
    slot = child_keys(cohort.listeners.key[rows], "slot", slots)
    phase, life = draw_pair(slot, "life")
    length = _SHORTEST_LIFE_DAYS + _LIFE_SPREAD_DAYS * life
    number = np.floor(days / length + phase)
    entry = child_keys(slot, "tenant", number.astype(np.int64))
    first, which = find_distinct(entry)  # many plays use the same entries: each is looked up once
    return discover_artists(cohort, rows[first], entry[first], ((number - phase) * length)[first])[which]


def discover_artists(cohort: Cohort, rows: Ints, keys: Keys, days: Ints | Floats) -> Ints:
    """An artist for each key: of two popular ones in a cluster of interest, the one closer to the listener's taste on that day."""
    drift = measure_drift(cohort.listeners, rows, days)
    clusters = choose_interest(cohort, rows, draw(keys, "interest"), drift)
    is_obscure = draw(keys, "obscure") < cohort.listeners.obscure_share[rows]
    shares = draw_pair(keys, "candidates")
    popular = [cohort.catalogue.draw_artists(clusters, share) for share in shares]
    first, second = (
        np.where(is_obscure, cohort.catalogue.draw_any_artists(clusters, share), star) for share, star in zip(shares, popular, strict=True)
    )
    positions = find_positions(cohort, rows, drift)
    nearer = np.where(compute_affinity(cohort, positions, first) >= compute_affinity(cohort, positions, second), first, second)
    return np.where(draw(keys, "devotion") < cohort.listeners.favourite_artist_share[rows], cohort.listeners.favourite_artist[rows], nearer)


def find_favourites(cohort: Cohort, rows: Ints, artists: Ints, ranks: Ints, days: Ints) -> Ints:
    """The listener's favourite tracks of the artists, by rank."""
    key = child_keys(child_keys(cohort.listeners.key[rows], "artist", artists), "favourite", ranks)
    return cohort.catalogue.draw_tracks(artists, draw(key, "track"), days)


@dataclass(frozen=True)
class Favourites:
    """Columns of favourite tracks: track, its artist, and familiarity (0 new … 1 well known)."""

    track: Ints
    artist: Ints
    familiarity: Floats

    def take(self, rows: Ints) -> Favourites:
        """The given rows."""
        return Favourites(self.track[rows], self.artist[rows], self.familiarity[rows])


def pick_favourites(cohort: Cohort, rows: Ints, key: Keys, days: Ints, artist_key: Keys | None = None) -> Favourites:
    """A favourite track of the listener for each key; `artist_key`, if given, selects the artist."""
    listeners, artist_key = cohort.listeners, key if artist_key is None else artist_key
    slot = draw_rank(artist_key, "slot", listeners.library_exponent[rows], listeners.library_size[rows])
    artist = find_artists(cohort, rows, slot, days)
    rank = np.floor(-np.log(1 - draw(key, "favourite")) * listeners.favourites_spread[rows]).astype(np.int64)
    return Favourites(find_favourites(cohort, rows, artist, rank, days), artist, 1.0 / (1.0 + 0.04 * slot + 0.03 * rank))


def measure_drift(listeners: Listeners, rows: Ints, days: Ints | Floats | int) -> Floats:
    """The position of each row's listener on their taste path, from one end (0) to the other (1), moving slowly back and forth."""
    return np.asarray(np.abs((days / listeners.drift_days[rows] + listeners.drift_phase[rows]) % 2.0 - 1.0))


def find_positions(cohort: Cohort, rows: Ints, drift: Floats) -> Floats:
    """The position of each row's listener in the taste space at this drift."""
    path = cohort.listeners.path
    steps = rows * path.shape[1] + np.rint(drift * DRIFT_STEPS).astype(np.int64)
    return np.asarray(path.reshape(-1, path.shape[-1]).take(steps, axis=0))


def compute_affinity(cohort: Cohort, positions: Floats, artists: Ints) -> Floats:
    """Cosine similarity of each position and artist."""
    return np.asarray(np.einsum("ij,ij->i", positions, cohort.catalogue.artist_position.take(artists, axis=0)))


def choose_interest(cohort: Cohort, rows: Ints, shares: Floats, drift: Floats) -> Ints:
    """The cluster that each row's listener chooses: an interest at one end of their path, or any cluster with `wander_share`."""
    listeners, clusters = cohort.listeners, len(cohort.catalogue.cluster_name)
    wander = listeners.wander_share[rows]
    within = ((shares - wander) / (1.0 - wander)).clip(0)
    is_late = within < drift
    within = np.where(is_late, within / np.maximum(drift, 1e-9), (within - drift) / np.maximum(1.0 - drift, 1e-9))
    end = is_late.astype(np.int64)
    interest = listeners.interest_cluster[rows, end, choose(listeners.interest_cdf[rows], within)]
    anywhere = (shares / np.maximum(wander, 1e-9) * clusters).astype(np.int64)
    return np.where(shares < wander, np.minimum(anywhere, clusters - 1), interest)
