"""The tracks in playlists: favourites of the day each was added, without those removed since."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model.library import Favourites, pick_favourites
from soundlake.generator.model.listeners import Cohort
from soundlake.generator.model.playlists import Playlists
from soundlake.generator.model.randomness import Ints, child_keys, find_distinct

_DAY_BITS = 20
_MOST_TRIES = 8
"""Entries tried one after another until one was not removed; then the first entry is taken."""


@dataclass(frozen=True)
class EntryRequests:
    """Columns of plays from playlists: row of the playlist, day, entry; `is_removal` marks plays that remove the entry."""

    playlist: Ints
    day: Ints
    entry: Ints
    is_removal: NDArray[np.bool_]


def pick_entries(cohort: Cohort, lists: Playlists, entries: Ints) -> Favourites:
    """The track that was added to each playlist as this entry."""
    return pick_favourites(cohort, lists.rows, child_keys(lists.key, "entry", entries), lists.find_days(entries))


def pick_current_entries(cohort: Cohort, lists: Playlists, requests: EntryRequests) -> tuple[Favourites, NDArray[np.bool_]]:
    """The track of each requested entry, or of another entry if that track was removed; and which of the removals are void.

    A track is removed once only, and the track of the first entry is never removed, so a playlist is never empty.
    """
    removals = _Removals(cohort, lists, requests.day.max(initial=0))
    of_play = lists.take(requests.playlist)
    entry = np.where(requests.is_removal, requests.entry, of_play.find_entries(requests.entry))
    favourites = pick_entries(cohort, of_play, entry)
    track, artist, familiarity = favourites.track, favourites.artist, favourites.familiarity
    is_void = requests.is_removal & ~removals.was_removed_on(requests.playlist, track, requests.day)
    was_removed = removals.was_removed_between(requests.playlist, track, of_play.find_days(entry), requests.day)
    at = np.flatnonzero(is_void | (was_removed & ~requests.is_removal))
    for tries in range(_MOST_TRIES):
        playlists = of_play.take(at)
        entry[at] = playlists.find_entries((entry[at] + 1) % playlists.first_entries) if tries < _MOST_TRIES - 1 else 0
        favourites = pick_entries(cohort, playlists, entry[at])
        track[at], artist[at], familiarity[at] = favourites.track, favourites.artist, favourites.familiarity
        at = at[removals.was_removed_between(requests.playlist[at], favourites.track, playlists.find_days(entry[at]), requests.day[at])]
        if not len(at):
            break
    return Favourites(track, artist, familiarity), is_void


class _Removals:
    """All removals from the playlists up to a day."""

    def __init__(self, cohort: Cohort, lists: Playlists, last_day: int) -> None:
        first, self._which = find_distinct(lists.key)
        distinct = lists.take(first)
        row, entry, day = distinct.list_removals(np.full(len(first), last_day))
        track = pick_entries(cohort, distinct.take(row), entry).track
        stays = track == pick_entries(cohort, distinct.take(row), np.zeros_like(row)).track
        self._tracks = cohort.catalogue.tracks
        order = np.sort(((row * self._tracks + track) << _DAY_BITS | day)[~stays])
        self._order = order[np.diff(order >> _DAY_BITS, prepend=-1) != 0]

    def was_removed_between(self, lists: Ints, tracks: Ints, since: Ints, days: Ints) -> NDArray[np.bool_]:
        """Whether the track of each playlist (by row) was removed between two days, both included."""
        code = (self._which[lists] * self._tracks + tracks) << _DAY_BITS
        at = np.searchsorted(self._order, code | days, side="right") - 1
        latest = self._order[at] if len(self._order) else np.full(len(at), -1)
        return np.asarray((at >= 0) & (latest >= code | since))

    def was_removed_on(self, lists: Ints, tracks: Ints, days: Ints) -> NDArray[np.bool_]:
        """Whether the track of each playlist was removed on a day."""
        return self.was_removed_between(lists, tracks, days, days)
