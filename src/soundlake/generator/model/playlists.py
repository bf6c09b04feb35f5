"""The playlists of each listener: a new one every few weeks or months, the oldest falls out of use, and some change.

Playlists are not stored: the entries on a day are computed from hashes. A playlist is created with some entries. In its first year it has
an opportunity to change every 16 days, on a different day for each playlist of a listener: a track can be added at its end or removed.
It changes if the listener has a session on that day; the first play of the day is then a play of that track (`Changes`).
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
"""More than the playlists in use at once, so no two of a listener change on the same day."""
_FEWEST_ENTRIES, _MOST_EXTRA_ENTRIES = 12, 80
_MOST_OPPORTUNITIES = 24
_CHANGES_PER_LIKE, _MOST_CHANGES, _ADD_SHARE = 30.0, 0.9, 0.65


@dataclass(frozen=True)
class Changes:
    """Columns of playlist changes: row of the play in its queue, kind (ADD, REMOVE), number of the playlist, the entry."""

    at: Ints
    kind: Ints
    number: Ints
    entry: Ints

    def take(self, which: NDArray[np.bool_]) -> Changes:
        """The given changes."""
        return Changes(self.at[which], self.kind[which], self.number[which], self.entry[which])


def find_newest(listeners: Listeners, rows: Ints, days: Ints) -> Ints:
    """The number of the newest playlist of each row's listener on a day."""
    return np.asarray(np.floor(days / listeners.playlist_interval_days[rows] + listeners.playlist_phase[rows]).astype(np.int64))


def find_creation_days(listeners: Listeners, rows: Ints, numbers: Ints) -> Ints:
    """The day on which each playlist is created."""
    return np.asarray(np.ceil((numbers - listeners.playlist_phase[rows]) * listeners.playlist_interval_days[rows]).astype(np.int64))


def choose_playlists(listeners: Listeners, rows: Ints, newest: Ints, shares: Floats) -> Ints:
    """One of the playlists in use for each share; newer ones are more likely."""
    return np.maximum(newest - np.floor(listeners.playlists[rows] * shares**2).astype(np.int64), 0)


@dataclass(frozen=True)
class Playlists:
    """Columns of playlists: row of the listener, key, day of creation, day of the first opportunity to change, number of first entries."""

    listeners: Listeners
    rows: Ints
    key: Keys
    created: Ints
    first_day: Ints
    first_entries: Ints

    @classmethod
    def of(cls, listeners: Listeners, rows: Ints, numbers: Ints) -> Self:
        """The playlists with these listeners and numbers."""
        key, created = child_keys(listeners.key[rows], "playlist", numbers), find_creation_days(listeners, rows, numbers)
        wait = (numbers - created - 1 - _draw_phases(listeners, rows)) % _PERIOD_DAYS
        first_entries = np.floor(_FEWEST_ENTRIES + _MOST_EXTRA_ENTRIES * draw(key, "length") ** 2).astype(np.int64)
        return cls(listeners, rows, key, created, created + 1 + wait, first_entries)

    def take(self, at: Ints) -> Playlists:
        """The given rows."""
        whole = {field.name: getattr(self, field.name) for field in fields(self)}
        return Playlists(**{name: column if name == "listeners" else column[at] for name, column in whole.items()})

    def count_opportunities(self, days: Ints) -> Ints:
        """The number of opportunities to change up to and including a day."""
        return np.asarray((days - self.first_day) // _PERIOD_DAYS + 1).clip(0, _MOST_OPPORTUNITIES)

    def find_days(self, entries: Ints) -> Ints:
        """The day on which each entry was added: the day of creation, or of the opportunity."""
        return np.where(entries < self.first_entries, self.created, self.find_opportunity_days(entries - self.first_entries))

    def plan_changes(self, opportunities: Ints) -> Ints:
        """The planned change at each opportunity, which happens if the listener has a session on that day."""
        whether, how = draw_pair(child_keys(self.key, "change", opportunities), "change")
        chance = np.minimum(_CHANGES_PER_LIKE * self.listeners.like_share[self.rows], _MOST_CHANGES)
        return np.where((whether < chance) & (opportunities >= 0), np.where(how < _ADD_SHARE, ADD, REMOVE), _NO_CHANGE)

    def find_removed_entries(self, opportunities: Ints) -> Ints:
        """The entry that would be removed at each opportunity."""
        return np.asarray((draw(child_keys(self.key, "change", opportunities), "leaving") * self.first_entries).astype(np.int64))

    def find_entries(self, entries: Ints) -> Ints:
        """For each requested entry (first entries, then opportunities), an entry that was really added."""
        late = np.flatnonzero(entries >= self.first_entries)
        was_added = self.take(late).has_changed(entries[late] - self.first_entries[late], ADD)
        found = entries.copy()
        found[late] = np.where(was_added, entries[late], entries[late] % self.first_entries[late])
        return found

    def list_removals(self, days: Ints) -> tuple[Ints, Ints, Ints]:
        """The removals up to and including these days: rows of the playlists, entries and days."""
        count = self.count_opportunities(days)
        row = np.repeat(np.arange(len(count)), count)
        opportunity = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        at = np.flatnonzero(self.take(row).has_changed(opportunity, REMOVE))
        lists = self.take(row[at])
        return row[at], lists.find_removed_entries(opportunity[at]), lists.find_opportunity_days(opportunity[at])

    def find_opportunity_days(self, opportunities: Ints) -> Ints:
        """The day of an opportunity of each playlist, numbered from 0."""
        return np.asarray(self.first_day + _PERIOD_DAYS * opportunities)

    def has_changed(self, opportunities: Ints, kind: int) -> NDArray[np.bool_]:
        """Whether each playlist was changed in this way at an opportunity."""
        changed: NDArray[np.bool_] = self.plan_changes(opportunities) == kind
        at = np.flatnonzero(changed)
        changed[at] = is_listening(self.listeners, self.rows[at], self.take(at).find_opportunity_days(opportunities[at]))
        return changed


def find_changes(listeners: Listeners, sessions: Sessions) -> Changes:
    """The playlist changes in these sessions, each at the first play of a day; `at` is the row of the session."""
    opening = np.flatnonzero(sessions.is_first_of_day)
    rows, days = sessions.listener[opening], sessions.day[opening]
    newest = find_newest(listeners, rows, days)
    age = (newest - days - _draw_phases(listeners, rows)) % _PERIOD_DAYS
    numbers = newest - age
    lists = Playlists.of(listeners, rows, numbers)
    opportunities = (days - lists.first_day) // _PERIOD_DAYS
    kind = lists.plan_changes(opportunities)
    kind[(age >= listeners.playlists[rows]) | (numbers < 0) | (opportunities >= _MOST_OPPORTUNITIES)] = _NO_CHANGE
    entry = np.where(kind == REMOVE, lists.find_removed_entries(opportunities), lists.first_entries + opportunities)
    changed = np.flatnonzero(kind)
    return Changes(opening[changed], kind[changed], numbers[changed], entry[changed])


def _draw_phases(listeners: Listeners, rows: Ints) -> Ints:
    return (draw(listeners.key, "list occasions") * _PERIOD_DAYS).astype(np.int64)[rows]
