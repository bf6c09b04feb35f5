"""bronze/replays: the last step of each rejected record's replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from soundlake.lake import REPLAYS_TABLE, Lake
from soundlake.lake.layout import REPLAYS_SCHEMA
from soundlake.operations.dead_letters.models import Coordinates, ReplayStep

_ROWS = REPLAYS_SCHEMA.remove(REPLAYS_SCHEMA.get_field_index("_batch"))
_LATEST = """
select _broker, _topic, _partition, _offset, replay, step, acted_at, owner, target, target_log, marks, digest
from rows
qualify row_number() over (partition by _broker, _topic, _partition, _offset order by _batch desc) = 1
"""


@dataclass(frozen=True)
class Attempt:
    """One chunk of records published to one topic: who, when it was recorded, and the partitions' end offsets before (JSON)."""

    replay: str
    acted_at: datetime
    owner: str
    target: str
    target_log: str
    end_offsets: str


@dataclass(frozen=True)
class Entry:
    """The last step of one record within an attempt; `digest` is the hash of the record as published."""

    record: Coordinates
    step: ReplayStep
    attempt: Attempt
    digest: bytes


class Ledger:
    """The recorded steps; new ones are added only if no other process has added any since the last read."""

    def __init__(self, lake: Lake) -> None:
        self._table = lake.open_table(REPLAYS_TABLE)
        self._batch = 0
        self.entries: dict[Coordinates, Entry] = {}
        self.read()

    def read(self) -> None:
        """Read the table again."""
        self._table.refresh()
        self._batch = self._table.read_last_batch()
        with duckdb.connect() as db:
            db.execute("set TimeZone = 'UTC'")
            db.register("rows", self._table.read(REPLAYS_SCHEMA.names))
            found = db.execute(_LATEST).to_arrow_table().to_pylist()
        self.entries = {(entry := _read_entry(row)).record: entry for row in found}

    def list_pending(self) -> dict[Attempt, list[Entry]]:
        """The records that may or may not be in the log, by attempt."""
        found: dict[Attempt, list[Entry]] = {}
        for entry in self.entries.values():
            if entry.step is ReplayStep.PENDING:
                found.setdefault(entry.attempt, []).append(entry)
        return found

    def add(self, entries: Sequence[Entry], acted_at: datetime) -> None:
        """Record these steps in one commit. Raises CommitConflict if another replay has committed since the last read."""
        if not entries:
            return
        rows = [_write_row(entry, acted_at) for entry in entries]
        self._batch = self._table.append_unless_changed(pa.Table.from_pylist(rows, schema=_ROWS), [], since_batch=self._batch)
        self.entries |= {entry.record: entry for entry in entries}


def _read_entry(row: Mapping[str, Any]) -> Entry:
    attempt = Attempt(row["replay"], row["acted_at"], row["owner"], row["target"], row["target_log"], row["marks"])
    record = Coordinates(row["_broker"], row["_topic"], row["_partition"], row["_offset"])
    return Entry(record, ReplayStep(row["step"]), attempt, row["digest"])


def _write_row(entry: Entry, acted_at: datetime) -> dict[str, Any]:
    record, attempt = entry.record, entry.attempt
    return {
        "replay": attempt.replay, "step": str(entry.step), "acted_at": acted_at, "owner": attempt.owner, "target": attempt.target,
        "target_log": attempt.target_log, "marks": attempt.end_offsets, "digest": entry.digest,
        "_broker": record.log, "_topic": record.topic, "_partition": record.partition, "_offset": record.offset,
    }  # fmt: skip
