"""The playlists each listener has: every few weeks or months they make one, the oldest falls out of use, and some change.

No table holds them: what is in a playlist on a day follows from hashes alone. A playlist begins with some entries; in its first year it has
an occasion to change every 16 days, each of a listener's lists on a day of its own: then a track may come in at its end, or one go.
It changes if the listener is there that day; the first play of the day is then the track's own (`Changes`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model.listeners import Listeners
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, draw, draw_pair
from soundlake.generator.model.sessions import Sessions, is_listening

ADD, REMOVE = 1, 2
_NO_CHANGE = 0
_PERIOD_DAYS = 16
"""More than the playlists in use at once, so that no two change on one day."""
_FEWEST_ENTRIES, _MOST_EXTRA_ENTRIES = 12, 80
_MOST_OCCASIONS = 24
_CHANGES_PER_LIKE, _MOST_CHANGES, _ADD_SHARE = 30.0, 0.9, 0.65


@dataclass(frozen=True)
class Changes:
    """Columns of changes that plays bring about: row of the play in its queue, what (ADD, REMOVE), number of the playlist, the entry."""

    at: Ints
    kind: Ints
    number: Ints
    entry: Ints

    def take(self, which: NDArray[np.bool_]) -> Changes:
        """Those of them."""
        return Changes(self.at[which], self.kind[which], self.number[which], self.entry[which])


def find_newest(listeners: Listeners, rows: Ints, days: Ints) -> Ints:
    """The number of each row's listener's newest playlist on that day."""
    return np.asarray(np.floor(days / listeners.playlist_interval_days[rows] + listeners.playlist_phase[rows]).astype(np.int64))


def find_days_made(listeners: Listeners, rows: Ints, numbers: Ints) -> Ints:
    """The day on which each playlist was made."""
    return np.asarray(np.ceil((numbers - listeners.playlist_phase[rows]) * listeners.playlist_interval_days[rows]).astype(np.int64))


def choose_playlists(listeners: Listeners, rows: Ints, newest: Ints, shares: Floats) -> Ints:
    """One of the playlists in use for each share, a newer one rather."""
    return np.maximum(newest - np.floor(listeners.playlists[rows] * shares**2).astype(np.int64), 0)


@dataclass(frozen=True)
class Playlists:
    """Columns of playlists: row of the listener in its block, key, day made, day of the first occasion to change, entries at first."""

    listeners: Listeners
    rows: Ints
    key: Keys
    made: Ints
    first_day: Ints
    first_entries: Ints

    @classmethod
    def of(cls, listeners: Listeners, rows: Ints, numbers: Ints) -> Self:
        """Those of the listeners and numbers."""
        key, made = child_keys(listeners.key[rows], "playlist", numbers), find_days_made(listeners, rows, numbers)
        wait = (numbers - made - 1 - _draw_phases(listeners, rows)) % _PERIOD_DAYS
        first_entries = np.floor(_FEWEST_ENTRIES + _MOST_EXTRA_ENTRIES * draw(key, "length") ** 2).astype(np.int64)
        return cls(listeners, rows, key, made, made + 1 + wait, first_entries)

    def take(self, at: Ints) -> Playlists:
        """Those rows."""
        whole = {field.name: getattr(self, field.name) for field in fields(self)}
        return Playlists(**{name: column if name == "listeners" else column[at] for name, column in whole.items()})

    def count_occasions(self, days: Ints) -> Ints:
        """How many occasions to change each had, that day included."""
        return np.asarray((days - self.first_day) // _PERIOD_DAYS + 1).clip(0, _MOST_OCCASIONS)

    def find_days(self, entries: Ints) -> Ints:
        """The day on which each entry came in: when the playlist was made, or on the occasion."""
        return np.where(entries < self.first_entries, self.made, self.find_occasions(entries - self.first_entries))

    def plan_changes(self, occasions: Ints) -> Ints:
        """What each would have changed at that occasion, if the listener was there."""
        whether, how = draw_pair(child_keys(self.key, "change", occasions), "change")
        chance = np.minimum(_CHANGES_PER_LIKE * self.listeners.like_share[self.rows], _MOST_CHANGES)
        return np.where((whether < chance) & (occasions >= 0), np.where(how < _ADD_SHARE, ADD, REMOVE), _NO_CHANGE)

    def find_removed_entries(self, occasions: Ints) -> Ints:
        """The first entry that would go at each occasion."""
        return np.asarray((draw(child_keys(self.key, "change", occasions), "leaving") * self.first_entries).astype(np.int64))

    def find_entries(self, entries: Ints) -> Ints:
        """For each place wanted, of the first entries and the occasions after them, an entry that came in once."""
        late = np.flatnonzero(entries >= self.first_entries)
        came = self.take(late).has_changed(entries[late] - self.first_entries[late], ADD)
        found = entries.copy()
        found[late] = np.where(came, entries[late], entries[late] % self.first_entries[late])
        return found

    def list_removals(self, days: Ints) -> tuple[Ints, Ints, Ints]:
        """What was removed until those days: rows of the playlists, the entry, and the day."""
        count = self.count_occasions(days)
        row = np.repeat(np.arange(len(count)), count)
        occasion = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        at = np.flatnonzero(self.take(row).has_changed(occasion, REMOVE))
        lists = self.take(row[at])
        return row[at], lists.find_removed_entries(occasion[at]), lists.find_occasions(occasion[at])

    def find_occasions(self, occasions: Ints) -> Ints:
        """The day of each playlist's occasion of that number, from 0 on."""
        return np.asarray(self.first_day + _PERIOD_DAYS * occasions)

    def has_changed(self, occasions: Ints, kind: int) -> NDArray[np.bool_]:
        """Whether each was changed in that way at that occasion."""
        changed: NDArray[np.bool_] = self.plan_changes(occasions) == kind
        at = np.flatnonzero(changed)
        changed[at] = is_listening(self.listeners, self.rows[at], self.take(at).find_occasions(occasions[at]))
        return changed


def find_changes(listeners: Listeners, sessions: Sessions) -> Changes:
    """The changes that the sittings bring about, a day's first play each; `at` is the row of the sitting."""
    opening = np.flatnonzero(sessions.is_first_of_day)
    rows, days = sessions.listener[opening], sessions.day[opening]
    newest = find_newest(listeners, rows, days)
    age = (newest - days - _draw_phases(listeners, rows)) % _PERIOD_DAYS
    numbers = newest - age
    lists = Playlists.of(listeners, rows, numbers)
    occasions = (days - lists.first_day) // _PERIOD_DAYS
    kind = lists.plan_changes(occasions)
    kind[(age >= listeners.playlists[rows]) | (numbers < 0) | (occasions >= _MOST_OCCASIONS)] = _NO_CHANGE
    entry = np.where(kind == REMOVE, lists.find_removed_entries(occasions), lists.first_entries + occasions)
    changed = np.flatnonzero(kind)
    return Changes(opening[changed], kind[changed], numbers[changed], entry[changed])


def _draw_phases(listeners: Listeners, rows: Ints) -> Ints:
    return (draw(listeners.key, "list occasions") * _PERIOD_DAYS).astype(np.int64)[rows]
