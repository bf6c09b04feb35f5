"""Columns of events as members of JSON objects: `,"name":value` for each row, or nothing if the value is null."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from soundlake.contract.record import FIELD_BY_NAME

Rows = NDArray[np.intp]
Fragment: TypeAlias = pa.Array | str
"""A text for each row (null for no text), or one text for all rows."""
_FIRST_PRINTABLE, _QUOTE, _BACKSLASH = ord(" "), ord('"'), ord("\\")
_NULL_NUMBER = -(2**63)


class JsonColumn(Protocol):
    """A column that can be written as members."""

    def write(self, rows: Rows | None = None) -> list[Fragment]:
        """Write the member of each row (of `rows` only, if given), as the fragments of a line from left to right."""


@dataclass(frozen=True)
class DictionaryColumn:
    """A dictionary-encoded column of texts or booleans."""

    name: str
    column: pa.DictionaryArray

    @property
    def size(self) -> int:
        """The number of codes; the last one is for null."""
        return len(self.column.dictionary) + 1

    @property
    def is_constant(self) -> bool:
        """Whether every row has the same value."""
        return self.size == 2 and not self.column.indices.null_count  # noqa: PLR2004  # one value, and null

    @cached_property
    def codes(self) -> Rows:
        """The code of each row."""
        indices = self.column.indices
        filled = pc.fill_null(indices, self.size - 1) if indices.null_count else indices
        return np.asarray(filled.to_numpy()).astype(np.intp, copy=False)

    def write(self, rows: Rows | None = None) -> list[Fragment]:
        """Write texts in quotes and booleans without."""
        indices = self.column.indices
        return _write_values(self.name, self.column.dictionary.take(indices if rows is None else indices.take(pa.array(rows))))


@dataclass(frozen=True)
class PlainColumn:
    """A column of texts or numbers without a dictionary."""

    name: str
    column: pa.Array

    @cached_property
    def numbers(self) -> NDArray[Any] | None:
        """The values of a column of integers, with the smallest int64 for null; None for other columns and if that value occurs."""
        if not pa.types.is_integer(self.column.type):
            return None
        filled = pc.fill_null(self.column, _NULL_NUMBER) if self.column.null_count else self.column
        numbers = np.asarray(filled.to_numpy())
        return numbers if np.count_nonzero(numbers == _NULL_NUMBER) == self.column.null_count else None

    def write(self, rows: Rows | None = None) -> list[Fragment]:
        """Write texts in quotes and numbers without."""
        return _write_values(self.name, self.column if rows is None else self.column.take(pa.array(rows)))


def make_json_columns(events: pa.Table) -> list[DictionaryColumn | PlainColumn]:
    """Make the JSON columns of a table whose timestamps are formatted as text."""
    return [_make_json_column(name, _unchunk(events[name])) for name in events.column_names]


def _unchunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _make_json_column(name: str, column: pa.Array) -> DictionaryColumn | PlainColumn:
    if pa.types.is_boolean(column.type):
        return DictionaryColumn(name, pa.DictionaryArray.from_arrays(column.cast(pa.int8()), pa.array(["false", "true"])))
    return DictionaryColumn(name, column) if pa.types.is_dictionary(column.type) else PlainColumn(name, column)


def _write_values(name: str, values: pa.Array) -> list[Fragment]:
    kind = FIELD_BY_NAME[name].kind
    is_text = kind in ("text", "timestamp")
    texts = escape(values.cast(pa.string())) if kind == "text" else values.cast(pa.string())
    opening, closing = (f',"{name}":"', '"') if is_text else (f',"{name}":', "")
    if texts.null_count:
        is_valid = texts.is_valid()
        closings = [pc.if_else(is_valid, closing, "")] if closing else []
        return [pc.if_else(is_valid, opening, ""), texts, *closings]
    return [opening, texts, closing]


def escape(texts: pa.Array) -> pa.Array:
    """Escape texts for JSON, without the quotes around them."""
    rows = _find_rows_to_escape(texts)
    if not len(rows):
        return texts
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    escaped = [text and json.dumps(text, ensure_ascii=False)[1:-1] for text in texts.take(pa.array(rows)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(escaped, pa.string()))


def _find_rows_to_escape(texts: pa.Array) -> Rows:
    """Find the rows with characters that JSON requires to be escaped, by one search in the bytes of all rows."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return np.zeros(0, np.intp)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    used = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    plain = used.tobytes()  # a search for one byte is many times as fast as a comparison of all bytes
    if used.min(initial=_FIRST_PRINTABLE) >= _FIRST_PRINTABLE and b'"' not in plain and b"\\" not in plain:
        return np.zeros(0, np.intp)
    places = np.flatnonzero((used < _FIRST_PRINTABLE) | (used == _QUOTE) | (used == _BACKSLASH))
    return np.unique(np.searchsorted(ends, places + ends[0], side="right") - 1)
