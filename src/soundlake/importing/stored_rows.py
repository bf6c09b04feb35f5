"""Separate the new rows of an import from rows that bronze holds or that this import has published."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import HISTORY, REJECTED_TABLE, TOPICS
from soundlake.importing.known_ids import KnownIds
from soundlake.lake import BronzeTables

Mask = npt.NDArray[np.bool_]
_ADDED_FIELDS: dict[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    **dict.fromkeys(("content_type", "track_name", "artist_name", "album_name"), pc.is_valid),
    "played_at_basis": lambda column: pc.fill_null(pc.equal(column, "measured"), False),  # noqa: FBT003
    "source_ref": lambda column: pc.fill_null(pc.match_substring(column, "#"), False),  # noqa: FBT003
}
"""What one export of a play knows and another one, or an import by an earlier version, does not, though the event_id is the same: type and
names, the start by the device's clock, that the play has a twin."""


class StoredRows:
    """The rows that are stored. Bronze is read once, after the log was drained; later rows are added by the methods.

    An event is identified by its event_id. Refused rows have no id: of equal ones, as many are new as this import has more of than
    bronze/rejected holds. So each is kept as often as it occurs in one import, however often that import is repeated.
    """

    def __init__(self, tables: BronzeTables, listeners: Sequence[str] | None) -> None:
        """Reads the history of these listeners; None: every event table, of all listeners."""
        self._tables = tables
        self._known = KnownIds()
        self._without = {field: KnownIds() for field in _ADDED_FIELDS}
        self._refused_left: Counter[bytes] | None = None
        if listeners is None:
            self._read_ids()
        else:
            self._read_history(listeners)

    def add_events(self, events: pa.Table) -> Mask:
        """Which of the events are new; of several with one event_id the first."""
        return self._known.add(events["event_id"])

    def add_fields(self, events: pa.Table, is_new: Mask) -> Mask:
        """Which of the repeats know something (`_ADDED_FIELDS`) that the stored event lacks: they are stored too; silver takes it over."""
        adds: Mask = np.zeros(len(events), bool)
        for field, without in self._without.items():
            knows: Mask = _ADDED_FIELDS[field](events[field]).to_numpy()
            without.add(events["event_id"].filter(pa.array(is_new & ~knows)))
            adds_field: Mask = knows & ~is_new & without.contains(events["event_id"])
            without.discard(events["event_id"].filter(pa.array(adds_field)))
            adds |= adds_field
        return adds

    def add_refused(self, values: Sequence[bytes]) -> list[int]:
        """The numbers of the refused rows (as they are published) that are new."""
        if self._refused_left is None:
            self._refused_left = self._read_refused()
        new = []
        for number, value in enumerate(values):
            digest = _hash(value)
            if self._refused_left[digest] > 0:
                self._refused_left[digest] -= 1
            else:
                new.append(number)
        return new

    def _read_ids(self) -> None:
        for topic in TOPICS:
            self._known.add(self._tables.open_table(topic.table).read(["event_id"])["event_id"])

    def _read_history(self, listeners: Sequence[str]) -> None:
        is_theirs = pc.field("user_id").isin(pa.array(listeners, pa.string()))
        rows = self._tables.open_table(HISTORY.table).read(["event_id", *_ADDED_FIELDS], is_theirs)
        self._known.add(rows["event_id"])
        for field, without in self._without.items():
            knows = _ADDED_FIELDS[field](rows[field])
            without.add(rows["event_id"].filter(pc.invert(knows)))
            without.discard(rows["event_id"].filter(knows))

    def _read_refused(self) -> Counter[bytes]:
        rows = self._tables.open_table(REJECTED_TABLE).read(["value"], pc.field("_topic") == HISTORY.name)
        return Counter(_hash(value.as_buffer()) for value in rows["value"].combine_chunks() if value.is_valid)


def _hash(value: bytes | pa.Buffer) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()
