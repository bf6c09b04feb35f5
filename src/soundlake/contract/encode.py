"""Encode events as JSON: one object per row, without nulls, column by column rather than row by row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from soundlake.contract.json_columns import make_json_columns
from soundlake.contract.json_lines import write_json_lines
from soundlake.contract.record import FIELD_BY_NAME
from soundlake.contract.timestamps import format_timestamps
from soundlake.contract.unknown_fields import merge_unknown_fields

_ROWS_AT_ONCE = 262_144  # large enough that repeated values are formatted once
_BYTES_AT_ONCE = 1 << 29  # far below the 2 GiB limit of an Arrow array


def encode_events(events: pa.Table) -> list[bytes]:
    """Encode each row of a table with any of the contract's columns as one JSON object (UTF-8, no raw newline), in row order.

    Nulls are left out. Timestamps end in Z and have three or six decimals. The fields in `extra` become members of the object again.
    Texts may be dictionary-encoded. Raises ValueError for a column that is not a field of an event.
    """
    return [line for block in encode_blocks(events) for line in block.to_pybytes().split(b"\n")[:-1]]


def encode_blocks(events: pa.Table) -> Iterator[pa.Buffer]:
    """Encode the rows as NDJSON for a file: blocks of some thousand lines, each line with a newline at its end."""
    unknown = [name for name in events.column_names if name not in FIELD_BY_NAME]
    if unknown:
        raise ValueError(f"not fields of an event: {', '.join(unknown)}")
    fields = _format_timestamp_columns(events.select([name for name in events.column_names if events[name].null_count < len(events)]))
    rows = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE * len(events) // max(events.nbytes, 1)))
    for start in range(0, len(events), rows):
        part = fields.slice(start, rows)
        yield from _encode_part(part, min(rows, len(events) - start))


def _encode_part(events: pa.Table, rows: int) -> Iterator[pa.Buffer]:
    """Encode that many rows; `events` has no columns that are entirely null."""
    if "extra" not in events.column_names:
        yield from write_json_lines(make_json_columns(events), rows)
        return
    extra, first = events["extra"].combine_chunks(), 0
    for lines in write_json_lines(make_json_columns(events.drop_columns("extra")), rows):
        split = lines.to_pybytes().split(b"\n")
        _merge_unknown_fields(split, extra.slice(first, len(split) - 1))
        first += len(split) - 1
        yield pa.py_buffer(b"\n".join(split))


def _merge_unknown_fields(lines: list[bytes], extra: pa.Array) -> None:
    """Add the unknown fields to the lines of the rows that have some."""
    for row in np.flatnonzero(extra.is_valid()).tolist():
        lines[row] = merge_unknown_fields(lines[row], extra[row].as_py())


def _format_timestamp_columns(events: pa.Table) -> pa.Table:
    for place, column in enumerate(events.schema):
        if FIELD_BY_NAME[column.name].kind == "timestamp":
            events = events.set_column(place, column.name, format_timestamps(events[column.name].combine_chunks()))
    return events
