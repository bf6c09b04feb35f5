"""What was rejected, why and from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import REJECTED_TABLE
from soundlake.lake import Lake
from soundlake.operations.dead_letters.ledger import Entry, Ledger
from soundlake.operations.dead_letters.models import Coordinates, DeadLetter, DeadLetterFilter, Listing, Step
from soundlake.operations.dead_letters.preview import preview

COORDINATES = ["_broker", "_topic", "_partition", "_offset"]
_TOLD = [*COORDINATES, "reason", "_ingested_at"]
_NEWEST_FIRST = [("_ingested_at", "descending"), ("_topic", "ascending"), ("_partition", "ascending"), ("_offset", "descending")]


def list_dead_letters(lake: Lake, wanted: DeadLetterFilter, limit: int) -> Listing:
    """The rejected records that are wanted, counted by reason and topic, and the newest of them whole."""
    rows = lake.read(REJECTED_TABLE, _TOLD, wanted.rows_where)
    entries = Ledger(lake).entries
    newest = rows.take(pc.select_k_unstable(rows, min(limit, len(rows)), _NEWEST_FIRST)) if limit and len(rows) else rows.slice(0, 0)
    replayed = {place for place, entry in entries.items() if entry.step is Step.PUBLISHED}
    return Listing(
        total=len(rows),
        replayed=sum(place in replayed for place in read_coordinates(rows)) if replayed else 0,
        by_reason=_count(rows["reason"]),
        by_topic=_count(rows["_topic"]),
        records=tuple(_read_whole(lake, newest, wanted, entries)),
    )


def read_coordinates(rows: pa.Table) -> list[Coordinates]:
    """Where each of the rows stood."""
    return list(zip(*(rows[name].to_pylist() for name in COORDINATES), strict=True))


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each value comes, the most frequent first."""
    counts = pc.value_counts(column).to_pylist()
    return {item["values"]: item["counts"] for item in sorted(counts, key=lambda item: (-item["counts"], str(item["values"])))}


def _read_whole(lake: Lake, newest: pa.Table, wanted: DeadLetterFilter, entries: Mapping[Coordinates, Entry]) -> list[DeadLetter]:
    """These rows with their bytes, in their order."""
    if not len(newest):
        return []
    oldest, offsets = pc.min(newest["_ingested_at"]), newest["_offset"].combine_chunks()
    among = wanted.rows_where & (pc.field("_ingested_at") >= oldest) & pc.field("_offset").isin(offsets)
    rows = lake.read(REJECTED_TABLE, [*_TOLD, "value", "key", "detail", "event_id"], among)
    whole = dict(zip(read_coordinates(rows), rows.to_pylist(), strict=True))
    return [_describe(whole[place], entries.get(place)) for place in read_coordinates(newest)]


def _describe(row: Mapping[str, Any], entry: Entry | None) -> DeadLetter:
    is_known = entry is not None and entry.step is not Step.FAILED
    return DeadLetter(
        topic=row["_topic"], partition=row["_partition"], offset=row["_offset"], log=row["_broker"], rejected_at=row["_ingested_at"],
        reason=row["reason"], detail=preview((row["detail"] or "").encode()), event_id=row["event_id"], key=preview(row["key"]),
        bytes=len(row["value"] or b""), preview=preview(row["value"]),
        replay=entry.step if entry is not None and is_known else None,
        replayed_at=entry.attempt.acted_at if entry is not None and is_known else None,
    )  # fmt: skip
