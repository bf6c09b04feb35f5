"""The catalogue: clusters of the taste space, artists, albums and tracks, nested and contiguous."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pyarrow as pa

from soundlake.generator.model.dictionary_columns import TextDictionary
from soundlake.generator.model.randomness import Floats, Ints

DIMENSIONS = 8
_DAY_RANGE = 1 << 20
"""More than the days between any two releases."""
_BUCKETS_PER_ROW = 8


@dataclass(frozen=True)
class CatalogueTexts:
    """The ids and names of a catalogue as dictionaries."""

    track_id: TextDictionary
    track_name: TextDictionary
    artist_id: TextDictionary
    artist_name: TextDictionary
    album_id: TextDictionary
    album_name: TextDictionary


@dataclass(frozen=True)
class Catalogue:
    """Columns of the catalogue. Artists are sorted by cluster, albums by artist and release day, tracks by album and number.

    `*_first` are offsets into the next finer level (length + 1). `*_popularity_cumsum` are cumulative popularities from 0 over the whole
    catalogue (length + 1), so one search draws from any contiguous part. `cluster_weight` is a factor on how often listeners choose a
    cluster. Days are counted from 1970-01-01. `fingerprint` is a hash of the whole.
    """

    cluster_name: list[str]
    cluster_position: Floats
    cluster_weight: Floats
    cluster_first: Ints
    artist_id: pa.Array
    artist_name: pa.Array
    artist_position: Floats
    artist_popularity_cumsum: Floats
    album_first_of_artist: Ints
    album_id: pa.Array
    album_name: pa.Array
    album_release_day: Ints
    track_first_of_album: Ints
    track_id: pa.Array
    track_name: pa.Array
    track_artist: Ints
    track_album: Ints
    track_duration_ms: Ints
    track_popularity_cumsum: Floats
    fingerprint: int

    @property
    def artists(self) -> int:
        """The number of artists."""
        return len(self.artist_id)

    @property
    def tracks(self) -> int:
        """The number of tracks."""
        return len(self.track_id)

    def count_tracks(self, artists: Ints) -> Ints:
        """The number of tracks of each artist."""
        first, end = self.album_first_of_artist[artists], self.album_first_of_artist[artists + 1]
        return np.asarray(self.track_first_of_album[end] - self.track_first_of_album[first])

    def draw_artists(self, clusters: Ints, shares: Floats) -> Ints:
        """An artist of each cluster, by popularity."""
        return self._artist_sampler.draw(self.cluster_first[clusters], self.cluster_first[clusters + 1], shares)

    def draw_any_artists(self, clusters: Ints, shares: Floats) -> Ints:
        """An artist of each cluster, all equally likely."""
        first, end = self.cluster_first[clusters], self.cluster_first[clusters + 1]
        return first + (shares * (end - first)).astype(np.int64)

    def draw_tracks(self, artists: Ints, shares: Floats, days: Ints) -> Ints:
        """A track of each artist, by popularity, among those released by a day (or on the first album)."""
        first = self.album_first_of_artist[artists]
        end = self._released_albums(artists, days)
        return self._track_sampler.draw(self.track_first_of_album[first], self.track_first_of_album[end], shares)

    def find_newest_albums(self, artists: Ints, days: Ints) -> Ints:
        """The newest album of each artist that is released by a day."""
        return self._released_albums(artists, days) - 1

    def _released_albums(self, artists: Ints, days: Ints) -> Ints:
        """The end (exclusive) of each artist's albums released by a day; the first album always counts as released."""
        if not len(days):
            return np.zeros(0, np.int64)
        first_day, count = int(days.min()), int(np.ptp(days)) + 1
        if count * self.artists > len(days):
            return self._count_released(artists, days)
        every_day = np.arange(first_day, first_day + count)  # few days: computed once for all artists on each day
        return np.asarray(self._count_released(np.arange(self.artists), every_day[:, None])[days - first_day, artists])

    def _count_released(self, artists: Ints, days: Ints) -> Ints:
        end = np.searchsorted(self.album_order, _order_albums(artists, days), side="right")
        return np.maximum(end, self.album_first_of_artist[artists] + 1)

    @cached_property
    def _artist_sampler(self) -> _CumulativeSampler:
        return _CumulativeSampler(self.artist_popularity_cumsum)

    @cached_property
    def _track_sampler(self) -> _CumulativeSampler:
        return _CumulativeSampler(self.track_popularity_cumsum)

    @cached_property
    def texts(self) -> CatalogueTexts:
        """The ids and names, each distinct one once."""
        return CatalogueTexts(**{field.name: TextDictionary.of(getattr(self, field.name)) for field in fields(CatalogueTexts)})

    @cached_property
    def album_order(self) -> Ints:
        """One ascending number per album, ordered by artist, then release day."""
        artists = np.repeat(np.arange(self.artists), np.diff(self.album_first_of_artist))
        return _order_albums(artists, self.album_release_day)


def _order_albums(artists: Ints, days: Ints) -> Ints:
    return artists * _DAY_RANGE + (days + _DAY_RANGE // 2)


class _CumulativeSampler:
    """Draws from any contiguous part of cumulative weights: most draws are one look-up in a table of equal buckets, others a search."""

    def __init__(self, cumsum: Floats) -> None:
        self._cumsum = cumsum
        buckets = _BUCKETS_PER_ROW * len(cumsum)
        self._scale = buckets / cumsum[-1]
        bucket = self._find_buckets(cumsum)
        self._below = np.searchsorted(bucket, np.arange(buckets + 1), side="left").astype(np.int32)
        self._upto = np.searchsorted(bucket, np.arange(buckets + 1), side="right").astype(np.int32)

    def draw(self, first: Ints, end: Ints, shares: Floats) -> Ints:
        """For each share in [0, 1), the row of its part that it falls into."""
        low, high = self._cumsum[first], self._cumsum[end]
        sought = low + shares * (high - low)
        bucket = self._find_buckets(sought)
        found = self._below[bucket].astype(np.int64)
        is_open = found != self._upto[bucket]
        found[is_open] = np.searchsorted(self._cumsum, sought[is_open], side="right")
        return np.clip(found - 1, first, end - 1)

    def _find_buckets(self, sought: Floats) -> Ints:
        return np.asarray((sought * self._scale).astype(np.int64))
