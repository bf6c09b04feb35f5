"""Events to JSON on the wire: one object a row, nulls left out, in columns rather than row by row."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pyarrow as pa

from soundlake.contract.extra import merge_extra
from soundlake.contract.moments import write_moments
from soundlake.contract.record import FIELD_BY_NAME

_ROWS_A_SHAPE = 300
# A raw `,"name":null` can only be a member: inside a text its quotes would be escaped, and no letter may follow a closing quote.
_NULL_MEMBER = re.compile(rb',"[a-z_]+":null')


def encode_events(events: pa.Table) -> list[bytes]:
    """One JSON object (UTF-8, no raw newline) for each row of a table with any of the contract's columns, in the order of the rows.

    Nulls are left out; moments end in Z with three or six decimals; the fields kept in `extra` stand beside the others again.
    Raises ValueError for a column that is no field of an event.
    """
    unknown = [name for name in events.column_names if name not in FIELD_BY_NAME]
    if unknown:
        raise ValueError(f"not fields of an event: {', '.join(unknown)}")
    lines = _encode_fields(events.drop_columns("extra") if "extra" in events.column_names else events)
    if "extra" in events.column_names:
        extra = events["extra"].combine_chunks()
        for row in np.flatnonzero(extra.is_valid()).tolist():
            lines[row] = merge_extra(lines[row], extra[row].as_py())
    return lines


def _encode_fields(events: pa.Table) -> list[bytes]:
    """The lines of a table without `extra`: rows with the same nulls together, so that each group is written without them."""
    events = _write_moment_columns(events.select([name for name in events.column_names if events[name].null_count < len(events)]))
    if not events.num_columns:
        return [b"{}"] * len(events)
    shapes, shape_of_row = np.unique(_null_masks(events), return_inverse=True)
    if len(shapes) == 1:
        return _write(events).split(b"\n")[:-1]
    if len(shapes) * _ROWS_A_SHAPE > len(events):
        return _strip_nulls(_write(events), events.column_names[0])
    lines = np.empty(len(events), object)
    for number, shape in enumerate(shapes.tolist()):
        rows = np.flatnonzero(shape_of_row == number)
        present = [name for bit, name in enumerate(events.column_names) if not shape >> bit & 1]
        lines[rows] = _write(events.select(present).take(rows)).split(b"\n")[:-1] if present else b"{}"
    return list(lines)


def _write_moment_columns(events: pa.Table) -> pa.Table:
    for place, column in enumerate(events.schema):
        if FIELD_BY_NAME[column.name].kind == "timestamp":
            events = events.set_column(place, column.name, write_moments(events[column.name].combine_chunks()))
    return events


def _null_masks(events: pa.Table) -> np.ndarray:
    """One number a row, its n-th bit set where the n-th column is null."""
    masks = np.zeros(len(events), np.uint64)
    for bit, column in enumerate(events.columns):
        if column.null_count:
            masks |= column.is_null().to_numpy().astype(np.uint64) << np.uint64(bit)
    return masks


def _write(events: pa.Table) -> bytes:
    import polars as pl  # noqa: PLC0415  # 0.4 s, which commands that only read need not wait for

    buffer = BytesIO()
    pl.DataFrame(events).write_ndjson(buffer)
    return buffer.getvalue()


def _strip_nulls(written: bytes, first: str) -> list[bytes]:
    """The lines without their null members; `first` is the one that no comma precedes."""
    lines = _NULL_MEMBER.sub(b"", written).split(b"\n")[:-1]
    null_first = b'{"' + first.encode() + b'":null'
    return [b"{" + line[len(null_first) :].removeprefix(b",") if line.startswith(null_first) else line for line in lines]
