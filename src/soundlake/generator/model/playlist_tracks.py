"""Which tracks stand in the playlists: favourites of the day each came in, without those that were removed since."""

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
"""Entries in a row that may be gone before the one at the head is taken."""


@dataclass(frozen=True)
class EntryRequests:
    """Columns of plays from playlists: row of the playlist, day, entry; `is_removal` is true where it goes with this very play."""

    playlist: Ints
    day: Ints
    entry: Ints
    is_removal: NDArray[np.bool_]


def pick_entries(cohort: Cohort, lists: Playlists, entries: Ints) -> Favourites:
    """The track that came into each playlist in that place."""
    return pick_favourites(cohort, lists.rows, child_keys(lists.key, "entry", entries), lists.find_days(entries))


def pick_current_entries(cohort: Cohort, lists: Playlists, wanted: EntryRequests) -> tuple[Favourites, NDArray[np.bool_]]:
    """The track of each entry wanted, or of another one where that track was removed; and which of the removals are none.

    Nothing is removed twice, nor what stands at the head of the playlist too: so there is always something left.
    """
    removals = _Removals(cohort, lists, wanted.day.max(initial=0))
    of_play = lists.take(wanted.playlist)
    entry = np.where(wanted.is_removal, wanted.entry, of_play.find_entries(wanted.entry))
    known = pick_entries(cohort, of_play, entry)
    track, artist, familiarity = known.track, known.artist, known.familiarity
    is_void = wanted.is_removal & ~removals.was_removed_on(wanted.playlist, track, wanted.day)
    is_gone = removals.was_removed_between(wanted.playlist, track, of_play.find_days(entry), wanted.day)
    at = np.flatnonzero(is_void | (is_gone & ~wanted.is_removal))
    for tries in range(_MOST_TRIES):
        those = of_play.take(at)
        entry[at] = those.find_entries((entry[at] + 1) % those.first_entries) if tries < _MOST_TRIES - 1 else 0
        known = pick_entries(cohort, those, entry[at])
        track[at], artist[at], familiarity[at] = known.track, known.artist, known.familiarity
        at = at[removals.was_removed_between(wanted.playlist[at], known.track, those.find_days(entry[at]), wanted.day[at])]
        if not len(at):
            break
    return Favourites(track, artist, familiarity), is_void


class _Removals:
    """Everything that was removed from the playlists up to a day."""

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
        """Whether the track in each list (by its row) was removed between those two days, both included."""
        code = (self._which[lists] * self._tracks + tracks) << _DAY_BITS
        at = np.searchsorted(self._order, code | days, side="right") - 1
        latest = self._order[at] if len(self._order) else np.full(len(at), -1)
        return np.asarray((at >= 0) & (latest >= code | since))

    def was_removed_on(self, lists: Ints, tracks: Ints, days: Ints) -> NDArray[np.bool_]:
        """Whether the track in each list was removed on just that day."""
        return self.was_removed_between(lists, tracks, days, days)
