"""Write rows as records of the log: one JSON object a row, each known cell converted, the unknown ones beside them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import numpy as np
import orjson
import pyarrow as pa

from soundlake.contract import FIELD_BY_NAME
from soundlake.contract.encode import encode_events
from soundlake.contract.unknown_fields import merge_unknown_fields
from soundlake.history.event_files.cells import convert_cells
from soundlake.history.event_files.columns import read_values, unwrap
from soundlake.history.event_files.limits import limit_record

Notes = Counter[str]
"""How often something was read by an assumption."""
TIMES_WITHOUT_ZONE = "times without a zone, taken as UTC"
TIMES_AS_NUMBERS = "times as numbers, taken as seconds, milliseconds, microseconds or nanoseconds since 1970"
LINES_AS_WINDOWS_1252 = "lines that are not UTF-8, taken as Windows-1252"

_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def write_records(
    columns: Mapping[str, pa.Array],
    extras: Sequence[str | None],
    notes: Notes,
    *,
    bad_cells: Mapping[int, Mapping[str, bytes]] | None = None,
    show_cell: Callable[[str, int], bytes] | None = None,
) -> list[bytes]:
    """Each row as a record. `columns` are known fields of any Arrow type, `extras` JSON objects of unknown ones, one or None a row.

    A bad cell stays as it was (`show_cell` gives its JSON), so that the decoder refuses the record with a reason that names the field.
    `bad_cells` are those that the caller knows to be bad, by row and name; they are null in `columns`.
    """
    cells = {name: convert_cells(FIELD_BY_NAME[name], column) for name, column in columns.items()}
    notes[TIMES_WITHOUT_ZONE] += sum(found.without_zone for found in cells.values())
    notes[TIMES_AS_NUMBERS] += sum(found.as_numbers for found in cells.values())
    table = {name: found.values for name, found in cells.items()} | {"extra": pa.array(extras, pa.string())}
    records = encode_events(pa.table(table))
    for name, found in cells.items():
        for row in np.flatnonzero(found.is_bad).tolist():
            raw = show_cell(name, row) if show_cell else _dump_cell(columns[name].slice(row, 1))
            records[row] = _add_member(records[row], name, raw)
    for row, odd in (bad_cells or {}).items():
        for name, raw in odd.items():
            records[row] = _add_member(records[row], name, raw)
    return list(map(limit_record, records))


def describe_notes(notes: Notes) -> list[str]:
    """The notes as lines for the report."""
    return [f"{what}: {count:,}" for what, count in sorted(notes.items()) if count]


def write_extras(columns: Mapping[str, Sequence[object]], count: int) -> list[str | None]:
    """The cells of unknown columns as JSON objects, one a row, without null, NaN and empty cells; None where none is left.

    The fields of a column `extra` are added to the others, as they are when an event is published.
    """
    names = [name for name in columns if name != "extra"]
    rows = zip(*(columns[name] for name in names), strict=True) if names else [()] * count
    extras = [_dump_fields({name: value for name, value in zip(names, row, strict=True) if not _is_missing(value)}) for row in rows]
    for row, value in enumerate(columns.get("extra", ())):
        if not _is_missing(value):
            extras[row] = merge_extra(extras[row], value if isinstance(value, str) else orjson.dumps(value, default=_write_odd).decode())
    return extras


def merge_extra(unknown: str | None, extra: str) -> str:
    """The unknown fields together with those of the JSON text in a field `extra`."""
    return merge_unknown_fields((unknown or "{}").encode(), extra).decode()


def _dump_fields(fields: dict[str, object]) -> str | None:
    return orjson.dumps(fields, default=_write_odd, option=_JSON_OPTIONS).decode() if fields else None


def _dump_cell(cell: pa.Array) -> bytes:
    """One cell as JSON; what is no number in JSON is a text."""
    try:
        (value,) = read_values(unwrap(cell))
    except (ValueError, OverflowError):  # a time outside the years of Python
        value = str(cell.cast(pa.int64())[0])
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    return orjson.dumps(value, default=_write_odd, option=_JSON_OPTIONS)


def _add_member(record: bytes, name: str, raw: bytes) -> bytes:
    return record[:-1] + (b"," if len(record) > len(b"{}") else b"") + b'"' + name.encode() + b'":' + raw + b"}"


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _write_odd(value: object) -> object:
    """What orjson has no form for: decimals as numbers, bytes as hexadecimal digits."""
    if isinstance(value, Decimal):
        return float(value)
    return value.hex() if isinstance(value, bytes) else str(value)
