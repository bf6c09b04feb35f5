r"""Convert the cells of one column to the type of its field: each alone, by what it says and not by the type of its column.

A cell means the same in every form of file, so the rules are those of its text: what is `180000` in CSV is `180000`, `180000.0` or
`"180000"` in JSON, and an integer, a float or a text in Parquet. Columns of the field's own type are only cast.

- null: null, NaN, the empty text; where the field is no text also `nan`, `nat`, `null`, `none`, `<NA>`, `NA`, `N/A`, `#N/A` and
  `\N` in any case.
- integer: whole numbers of 64 bits, also written `180000.0` or `1.8e5`.
- boolean: `true`, `t`, `1` and `false`, `f`, `0` in any case.
- time: see `times`.
- text: every cell that is one value; `event_id` and `event_type` without white space at their ends. Lists and objects are no text.
"""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import EVENT_SCHEMA, Field
from soundlake.history.event_files.columns import Cells, Mask, is_bytes, to_mask, trim_texts, unwrap, write_texts
from soundlake.history.event_files.times import convert_times

_TRIMMED = ("event_id", "event_type")
_BOOLEANS = {"true": True, "t": True, "1": True, "1.0": True, "false": False, "f": False, "0": False, "0.0": False}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_LIMIT = 2**63
_DIGITS = 19  # of a number of 64 bits; a longer one is never built


def convert_cells(field: Field, column: pa.Array) -> Cells:
    """Convert a column of any Arrow type to the field's type in EVENT_SCHEMA."""
    column = unwrap(column)
    if pa.types.is_nested(column.type):
        return Cells(pa.nulls(len(column), EVENT_SCHEMA.field(field.name).type), to_mask(column.is_valid()))
    if is_bytes(column.type):
        return _convert_bytes(field, column)
    if field.kind == "timestamp":
        return convert_times(column)
    if field.kind == "integer":
        return _convert_integers(column)
    if field.kind == "boolean":
        return _convert_booleans(column)
    return _convert_texts(field, column)


def _convert_bytes(field: Field, column: pa.Array) -> Cells:
    """Some of the cells are no UTF-8: these are bad."""
    texts = [_decode(value) for value in column.to_pylist()]
    found = convert_cells(field, pa.array(texts, pa.string()))
    is_bad = found.is_bad | (to_mask(column.is_valid()) & np.array([text is None for text in texts]))
    return Cells(found.values, is_bad, found.without_zone, found.as_numbers)


def _convert_integers(column: pa.Array) -> Cells:
    if pa.types.is_integer(column.type):
        values = column.cast(pa.int64(), safe=False)
        return _drop_bad(values, to_mask(pc.less(values, 0)) & np.full(len(values), column.type == pa.uint64()))
    if pa.types.is_floating(column.type):
        numbers = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
        is_whole = (np.abs(numbers) < _LIMIT) & (numbers == np.floor(numbers))
        return Cells(pa.array(np.where(is_whole, numbers, 0).astype(np.int64), mask=~is_whole), ~is_whole & ~np.isnan(numbers))
    texts = trim_texts(column)
    is_plain = pc.match_substring_regex(texts, "^-?[0-9]{1,18}$")
    values = pc.if_else(is_plain, texts, None).cast(pa.int64())
    is_odd = to_mask(texts.is_valid()) & ~to_mask(is_plain)
    if is_odd.any():
        found = [_read_integer(text) for text in texts.filter(pa.array(is_odd)).to_pylist()]
        values = pc.replace_with_mask(values, pa.array(is_odd), pa.array(found, pa.int64()))
    return Cells(values, is_odd & ~to_mask(values.is_valid()))


def _convert_booleans(column: pa.Array) -> Cells:
    if pa.types.is_boolean(column.type):
        return Cells(column, np.zeros(len(column), bool))
    texts = trim_texts(column)
    values = pa.array(list(_BOOLEANS.values())).take(pc.index_in(pc.utf8_lower(texts), pa.array(list(_BOOLEANS))))
    return Cells(values, to_mask(texts.is_valid()) & ~to_mask(values.is_valid()))


def _convert_texts(field: Field, column: pa.Array) -> Cells:
    texts = write_texts(column)
    if field.name in _TRIMMED:
        texts = pc.utf8_trim_whitespace(texts)
    is_empty = pc.equal(pc.binary_length(texts), 0)
    return Cells(pc.if_else(is_empty, None, texts) if pc.any(is_empty).as_py() else texts, np.zeros(len(texts), bool))


def _drop_bad(values: pa.Array, is_bad: Mask) -> Cells:
    return Cells(pc.if_else(pa.array(is_bad), None, values) if is_bad.any() else values, is_bad)


def _read_integer(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number and number.adjusted() >= _DIGITS:
        return None
    whole = int(number)
    return whole if whole == number and -_LIMIT <= whole < _LIMIT else None


def _decode(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
