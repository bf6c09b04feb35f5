"""Events to JSON on the wire: one object a row, nulls left out, in columns rather than row by row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from soundlake.contract.unknown_fields import merge_unknown_fields
from soundlake.contract.json_columns import make_json_columns
from soundlake.contract.timestamps import format_timestamps
from soundlake.contract.json_lines import write_json_lines
from soundlake.contract.record import FIELD_BY_NAME

_ROWS_AT_ONCE = 262_144  # enough for what comes again to be written once
_BYTES_AT_ONCE = 1 << 29  # far below the 2 GiB of one Arrow array


def encode_events(events: pa.Table) -> list[bytes]:
    """One JSON object (UTF-8, no raw newline) for each row of a table with any of the contract's columns, in the order of the rows.

    Nulls are left out; moments end in Z with three or six decimals; the fields kept in `extra` stand beside the others again.
    Texts may come as codes (Arrow's dictionary type). Raises ValueError for a column that is no field of an event.
    """
    return [line for block in encode_blocks(events) for line in block.to_pybytes().split(b"\n")[:-1]]


def encode_blocks(events: pa.Table) -> Iterator[pa.Buffer]:
    """The same lines, some thousand at a time, each with a newline at its end: NDJSON as a file takes it."""
    unknown = [name for name in events.column_names if name not in FIELD_BY_NAME]
    if unknown:
        raise ValueError(f"not fields of an event: {', '.join(unknown)}")
    fields = _write_moment_columns(events.select([name for name in events.column_names if events[name].null_count < len(events)]))
    rows = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE * len(events) // max(events.nbytes, 1)))
    for start in range(0, len(events), rows):
        part = fields.slice(start, rows)
        yield from _encode_part(part, min(rows, len(events) - start))


def _encode_part(events: pa.Table, rows: int) -> Iterator[pa.Buffer]:
    """The lines of so many rows; columns of nulls are left out already."""
    if "extra" not in events.column_names:
        yield from write_json_lines(make_json_columns(events), rows)
        return
    extra, first = events["extra"].combine_chunks(), 0
    for lines in write_json_lines(make_json_columns(events.drop_columns("extra")), rows):
        split = lines.to_pybytes().split(b"\n")
        _merge_extras(split, extra.slice(first, len(split) - 1))
        first += len(split) - 1
        yield pa.py_buffer(b"\n".join(split))


def _merge_extras(lines: list[bytes], extra: pa.Array) -> None:
    """Put the unknown fields of those rows that have some into their lines."""
    for row in np.flatnonzero(extra.is_valid()).tolist():
        lines[row] = merge_unknown_fields(lines[row], extra[row].as_py())


def _write_moment_columns(events: pa.Table) -> pa.Table:
    for place, column in enumerate(events.schema):
        if FIELD_BY_NAME[column.name].kind == "timestamp":
            events = events.set_column(place, column.name, format_timestamps(events[column.name].combine_chunks()))
    return events
