"""Events to JSON on the wire: one object a row, nulls left out, in columns rather than row by row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from soundlake.contract.extra import merge_extra
from soundlake.contract.members import list_members
from soundlake.contract.moments import write_moments
from soundlake.contract.pieces import join_members
from soundlake.contract.record import FIELD_BY_NAME

_ROWS_AT_ONCE = 32_768  # enough for what comes again to be written once, and far below the 2 GiB of one Arrow array


def encode_events(events: pa.Table) -> list[bytes]:
    """One JSON object (UTF-8, no raw newline) for each row of a table with any of the contract's columns, in the order of the rows.

    Nulls are left out; moments end in Z with three or six decimals; the fields kept in `extra` stand beside the others again.
    Texts may come as codes (Arrow's dictionary type). Raises ValueError for a column that is no field of an event.
    """
    return [line for block in encode_blocks(events) for line in block.to_pybytes().split(b"\n")[:-1]]


def encode_blocks(events: pa.Table) -> Iterator[pa.Buffer]:
    """The same lines, some ten thousand at a time, each with a newline at its end: NDJSON as a file takes it."""
    unknown = [name for name in events.column_names if name not in FIELD_BY_NAME]
    if unknown:
        raise ValueError(f"not fields of an event: {', '.join(unknown)}")
    fields = _write_moment_columns(events.select([name for name in events.column_names if events[name].null_count < len(events)]))
    for start in range(0, len(events), _ROWS_AT_ONCE):
        part = fields.slice(start, _ROWS_AT_ONCE)
        own = part.drop_columns("extra") if "extra" in part.column_names else part
        lines = join_members(list_members(own), min(_ROWS_AT_ONCE, len(events) - start))
        yield _merge_extras(lines, part["extra"].combine_chunks()) if "extra" in part.column_names else lines


def _merge_extras(lines: pa.Buffer, extra: pa.Array) -> pa.Buffer:
    """The lines with the unknown fields of those rows that have some."""
    rows = np.flatnonzero(extra.is_valid()).tolist()
    split = lines.to_pybytes().split(b"\n")
    for row in rows:
        split[row] = merge_extra(split[row], extra[row].as_py())
    return pa.py_buffer(b"\n".join(split))


def _write_moment_columns(events: pa.Table) -> pa.Table:
    for place, column in enumerate(events.schema):
        if FIELD_BY_NAME[column.name].kind == "timestamp":
            events = events.set_column(place, column.name, write_moments(events[column.name].combine_chunks()))
    return events
