"""One rejected record with everything that is known of it."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from soundlake.contract import REJECTED_TABLE
from soundlake.errors import UsageError
from soundlake.lake import Lake
from soundlake.operations.dead_letters.escaped_bytes import escape_bytes, escape_text
from soundlake.operations.dead_letters.ledger import Ledger
from soundlake.operations.dead_letters.listing import RECORD_COLUMNS, describe_row, read_coordinates
from soundlake.operations.dead_letters.models import RecordId, RejectedRecord


def find_dead_letter(lake: Lake, wanted: RecordId) -> RejectedRecord:
    """The record with this id. Raises UsageError if there is none, or if several logs had a record there and the id names none of them."""
    among = (pc.field("_topic") == wanted.topic) & (pc.field("_partition") == wanted.partition) & (pc.field("_offset") == wanted.offset)
    rows = lake.read(REJECTED_TABLE, RECORD_COLUMNS, among if wanted.log is None else among & (pc.field("_broker") == wanted.log))
    found = dict(zip(read_coordinates(rows), rows.to_pylist(), strict=True))
    if not found:
        raise UsageError(f"{wanted}: no rejected record has this id", next_step="`soundlake dlq list` shows the ids")
    if len(found) > 1:
        ids = ", ".join(str(replace(wanted, log=one.log)) for one in sorted(found))
        raise UsageError(f"{wanted}: several logs had a rejected record there", next_step=f"name one of them: {ids}")
    [(record, row)] = found.items()
    summary = describe_row(row, Ledger(lake).entries.get(record))
    return RejectedRecord(replace(summary, detail=escape_text(row["detail"] or ""), key=escape_bytes(row["key"])), row["value"])
