"""What bronze holds already of the rows that an import brings, and what this import has added: by it a repeat is known."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import HISTORY, REJECTED_TABLE, TOPICS
from soundlake.importing.known_ids import KnownIds
from soundlake.lake import Lake

Mask = npt.NDArray[np.bool_]


class StoredRows:
    """Tells new rows from repeats. Read once, after the log was drained; afterwards it is told what is published.

    An event is known by its event_id. Rejected rows have none: of equal ones as many are new as the import brings more than
    bronze/rejected holds, so that each is kept as often as it stands in one import, however often that is repeated.
    """

    def __init__(self, lake: Lake, listeners: Sequence[str] | None) -> None:
        """Of these listeners' history; None: of every event table, whoever's events they are."""
        self._lake = lake
        self._known = KnownIds()
        self._untold = KnownIds()
        self._spare: Counter[bytes] | None = None
        if listeners is None:
            self._read_ids()
        else:
            self._read_history(listeners)

    def add_events(self, events: pa.Table) -> Mask:
        """Which of the events are new; of those with one event_id the first."""
        return self._known.add(events["event_id"])

    def add_told(self, events: pa.Table, new: Mask) -> Mask:
        """Which of the repeats say what is played where the stored event does not: they are stored as well, for silver to learn it."""
        told: Mask = pc.is_valid(events["content_type"]).to_numpy()
        self._untold.add(events["event_id"].filter(pa.array(new & ~told)))
        tells: Mask = told & ~new & self._untold.holds(events["event_id"])
        self._untold.discard(events["event_id"].filter(pa.array(tells)))
        return tells

    def add_refused(self, values: Sequence[bytes]) -> list[int]:
        """Which of the refused rows, as they go to the log, are not kept yet."""
        if self._spare is None:
            self._spare = self._read_refused()
        new = []
        for number, value in enumerate(values):
            digest = _digest(value)
            if self._spare[digest] > 0:
                self._spare[digest] -= 1
            else:
                new.append(number)
        return new

    def _read_ids(self) -> None:
        for topic in TOPICS:
            self._known.add(self._lake.open_table(topic.table).read(["event_id"])["event_id"])

    def _read_history(self, listeners: Sequence[str]) -> None:
        theirs = pc.field("user_id").isin(pa.array(listeners, pa.string()))
        rows = self._lake.open_table(HISTORY.table).read(["event_id", "content_type"], theirs)
        told = pc.is_valid(rows["content_type"])
        self._known.add(rows["event_id"])
        self._untold.add(rows["event_id"].filter(pc.invert(told)))
        self._untold.discard(rows["event_id"].filter(told))

    def _read_refused(self) -> Counter[bytes]:
        rows = self._lake.open_table(REJECTED_TABLE).read(["value"], pc.field("_topic") == HISTORY.name)
        return Counter(_digest(value.as_buffer()) for value in rows["value"].combine_chunks() if value.is_valid)


def _digest(value: bytes | pa.Buffer) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()
