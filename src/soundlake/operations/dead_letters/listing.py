"""Rejected records counted by reason and topic, and the newest of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import REJECTED_TABLE
from soundlake.lake import Lake
from soundlake.operations.dead_letters.escaped_bytes import preview_bytes
from soundlake.operations.dead_letters.ledger import Entry, Ledger
from soundlake.operations.dead_letters.models import Coordinates, DeadLetter, DeadLetterFilter, Listing, ReplayStep

COORDINATES = ["_broker", "_topic", "_partition", "_offset"]
RECORD_COLUMNS = [*COORDINATES, "reason", "_ingested_at", "value", "key", "detail", "event_id"]
_NEWEST_FIRST = [("_ingested_at", "descending"), ("_topic", "ascending"), ("_partition", "ascending"), ("_offset", "descending")]


def list_dead_letters(lake: Lake, wanted: DeadLetterFilter, limit: int) -> Listing:
    """Count the matching records by reason and topic, and describe the newest `limit` of them."""
    rows = lake.read(REJECTED_TABLE, [*COORDINATES, "reason", "_ingested_at"], wanted.rows_where)
    entries = Ledger(lake).entries
    newest = rows.take(pc.select_k_unstable(rows, min(limit, len(rows)), _NEWEST_FIRST)) if limit and len(rows) else rows.slice(0, 0)
    replayed = {record for record, entry in entries.items() if entry.step is ReplayStep.PUBLISHED}
    return Listing(
        total=len(rows),
        replayed=sum(record in replayed for record in read_coordinates(rows)) if replayed else 0,
        by_reason=_count(rows["reason"]),
        by_topic=_count(rows["_topic"]),
        records=tuple(_describe_rows(lake, newest, wanted, entries)),
    )


def read_coordinates(rows: pa.Table) -> list[Coordinates]:
    """The coordinates of each row."""
    return [Coordinates(*found) for found in zip(*(rows[name].to_pylist() for name in COORDINATES), strict=True)]


def describe_row(row: Mapping[str, Any], entry: Entry | None) -> DeadLetter:
    """A row of bronze/rejected (RECORD_COLUMNS) with the last step of its replay."""
    replay = entry if entry is not None and entry.step is not ReplayStep.FAILED else None
    return DeadLetter(
        topic=row["_topic"], partition=row["_partition"], offset=row["_offset"], log=row["_broker"], rejected_at=row["_ingested_at"],
        reason=row["reason"], detail=preview_bytes((row["detail"] or "").encode()), event_id=row["event_id"], key=preview_bytes(row["key"]),
        bytes=len(row["value"] or b""), preview=preview_bytes(row["value"]),
        replay=None if replay is None else replay.step, replayed_at=None if replay is None else replay.attempt.acted_at,
    )  # fmt: skip


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    """The number of rows of each value, the most frequent first."""
    counts = pc.value_counts(column).to_pylist()
    return {item["values"]: item["counts"] for item in sorted(counts, key=lambda item: (-item["counts"], str(item["values"])))}


def _describe_rows(lake: Lake, newest: pa.Table, wanted: DeadLetterFilter, entries: Mapping[Coordinates, Entry]) -> list[DeadLetter]:
    """These rows in their order. Their bytes are read in a second step: the first one reads all rows, the second only these."""
    if not len(newest):
        return []
    oldest, offsets = pc.min(newest["_ingested_at"]), newest["_offset"].combine_chunks()
    among = wanted.rows_where & (pc.field("_ingested_at") >= oldest) & pc.field("_offset").isin(offsets)
    rows = lake.read(REJECTED_TABLE, RECORD_COLUMNS, among)
    by_coordinates = dict(zip(read_coordinates(rows), rows.to_pylist(), strict=True))
    return [describe_row(by_coordinates[record], entries.get(record)) for record in read_coordinates(newest)]
