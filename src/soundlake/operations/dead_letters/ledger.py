"""bronze/replays as a replay reads and writes it: of each rejected record the last step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from soundlake.lake import REPLAYS_TABLE, Lake
from soundlake.lake.layout import REPLAYS_SCHEMA
from soundlake.operations.dead_letters.models import Coordinates, Step

_ROWS = REPLAYS_SCHEMA.remove(REPLAYS_SCHEMA.get_field_index("_batch"))
_LATEST = """
select _broker, _topic, _partition, _offset, replay, step, acted_at, owner, target, target_log, marks, digest
from rows
qualify row_number() over (partition by _broker, _topic, _partition, _offset order by _batch desc) = 1
"""


@dataclass(frozen=True)
class Attempt:
    """One chunk of records on its way into one topic: who tries, when that was written down, and where the partitions ended before it."""

    replay: str
    acted_at: datetime
    owner: str
    target: str
    target_log: str
    marks: str


@dataclass(frozen=True)
class Entry:
    """The last step of one record, as part of an attempt; `digest` is that of the record as it was published."""

    place: Coordinates
    step: Step
    attempt: Attempt
    digest: bytes


class Ledger:
    """The steps that stand there, and a way to add some: only as long as nobody else has added any since they were read."""

    def __init__(self, lake: Lake) -> None:
        self._table = lake.open_table(REPLAYS_TABLE)
        self._batch = 0
        self.entries: dict[Coordinates, Entry] = {}
        self.read()

    def read(self) -> None:
        """Look at the table anew."""
        self._table.refresh()
        self._batch = self._table.read_last_batch()
        with duckdb.connect() as db:
            db.execute("set TimeZone = 'UTC'")
            db.register("rows", self._table.read(REPLAYS_SCHEMA.names))
            found = db.execute(_LATEST).to_arrow_table().to_pylist()
        self.entries = {(entry := _read_entry(row)).place: entry for row in found}

    def list_open(self) -> dict[Attempt, list[Entry]]:
        """The records of which it is not known whether they are in the log, by attempt."""
        found: dict[Attempt, list[Entry]] = {}
        for entry in self.entries.values():
            if entry.step is Step.BEGUN:
                found.setdefault(entry.attempt, []).append(entry)
        return found

    def add(self, entries: Sequence[Entry], acted_at: datetime) -> None:
        """Write these steps down in one commit. Raises CommitConflict if another replay has written meanwhile."""
        if not entries:
            return
        rows = [_write_row(entry, acted_at) for entry in entries]
        self._batch = self._table.append_unless_changed(pa.Table.from_pylist(rows, schema=_ROWS), [], since_batch=self._batch)
        self.entries |= {entry.place: entry for entry in entries}


def _read_entry(row: Mapping[str, Any]) -> Entry:
    attempt = Attempt(row["replay"], row["acted_at"], row["owner"], row["target"], row["target_log"], row["marks"])
    place = (row["_broker"], row["_topic"], row["_partition"], row["_offset"])
    return Entry(place, Step(row["step"]), attempt, row["digest"])


def _write_row(entry: Entry, acted_at: datetime) -> dict[str, Any]:
    broker, topic, partition, offset = entry.place
    attempt = entry.attempt
    return {
        "replay": attempt.replay, "step": str(entry.step), "acted_at": acted_at, "owner": attempt.owner, "target": attempt.target,
        "target_log": attempt.target_log, "marks": attempt.marks, "digest": entry.digest,
        "_broker": broker, "_topic": topic, "_partition": partition, "_offset": offset,
    }  # fmt: skip
