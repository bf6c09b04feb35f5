"""The columns of events as members of JSON objects: `,"name":value`, or nothing where the value is null."""

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
Piece: TypeAlias = pa.Array | str
"""A text for each row (null: nothing there), or the same one for all."""
_FIRST_PLAIN, _QUOTE, _BACKSLASH = ord(" "), ord('"'), ord("\\")
_LEAST = -(2**63)


class Member(Protocol):
    """One column as members."""

    def write(self, rows: Rows | None = None) -> list[Piece]:
        """What stands one after another in a line (of those rows only)."""


@dataclass(frozen=True)
class DictionaryColumn:
    """A column of codes into a list of values: texts, or yes and no."""

    name: str
    column: pa.DictionaryArray

    @property
    def size(self) -> int:
        """How many codes there can be; the last one stands for null."""
        return len(self.column.dictionary) + 1

    @property
    def is_constant(self) -> bool:
        """Whether every row has the same value."""
        return self.size == 2 and not self.column.indices.null_count  # noqa: PLR2004  # the one value, and null

    @cached_property
    def codes(self) -> Rows:
        """The code of each row."""
        indices = self.column.indices
        filled = pc.fill_null(indices, self.size - 1) if indices.null_count else indices
        return np.asarray(filled.to_numpy()).astype(np.intp, copy=False)

    def write(self, rows: Rows | None = None) -> list[Piece]:
        """Texts in quotes, yes and no as they are."""
        indices = self.column.indices
        return _write_values(self.name, self.column.dictionary.take(indices if rows is None else indices.take(pa.array(rows))))


@dataclass(frozen=True)
class PlainColumn:
    """A column of texts or numbers as they stand."""

    name: str
    column: pa.Array

    @cached_property
    def numbers(self) -> NDArray[Any] | None:
        """The values of a column of numbers, the least one for null; None where they cannot be told so."""
        if not pa.types.is_integer(self.column.type):
            return None
        filled = pc.fill_null(self.column, _LEAST) if self.column.null_count else self.column
        numbers = np.asarray(filled.to_numpy())
        return numbers if np.count_nonzero(numbers == _LEAST) == self.column.null_count else None

    def write(self, rows: Rows | None = None) -> list[Piece]:
        """Texts in quotes, numbers as they are."""
        return _write_values(self.name, self.column if rows is None else self.column.take(pa.array(rows)))


def make_json_columns(events: pa.Table) -> list[DictionaryColumn | PlainColumn]:
    """A member for each column; moments are texts already."""
    return [_make_member(name, _unchunk(events[name])) for name in events.column_names]


def _unchunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _make_member(name: str, column: pa.Array) -> DictionaryColumn | PlainColumn:
    if pa.types.is_boolean(column.type):
        return DictionaryColumn(name, pa.DictionaryArray.from_arrays(column.cast(pa.int8()), pa.array(["false", "true"])))
    return DictionaryColumn(name, column) if pa.types.is_dictionary(column.type) else PlainColumn(name, column)


def _write_values(name: str, values: pa.Array) -> list[Piece]:
    kind = FIELD_BY_NAME[name].kind
    is_text = kind in ("text", "timestamp")
    texts = escape(values.cast(pa.string())) if kind == "text" else values.cast(pa.string())
    begin, end = (f',"{name}":"', '"') if is_text else (f',"{name}":', "")
    if texts.null_count:
        is_there = texts.is_valid()
        closing = [pc.if_else(is_there, end, "")] if end else []
        return [pc.if_else(is_there, begin, ""), texts, *closing]
    return [begin, texts, end]


def escape(texts: pa.Array) -> pa.Array:
    """The texts as they stand between the quotes of JSON."""
    wrong = _find_escapes(texts)
    if not len(wrong):
        return texts
    mask = np.zeros(len(texts), bool)
    mask[wrong] = True
    escaped = [text and json.dumps(text, ensure_ascii=False)[1:-1] for text in texts.take(pa.array(wrong)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(escaped, pa.string()))


def _find_escapes(texts: pa.Array) -> Rows:
    """The rows with characters that cannot stand in JSON as they are, found among the bytes of all rows at once."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return np.zeros(0, np.intp)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    used = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    plain = used.tobytes()  # looking for single bytes is many times as fast as comparing all of them
    if used.min(initial=_FIRST_PLAIN) >= _FIRST_PLAIN and b'"' not in plain and b"\\" not in plain:
        return np.zeros(0, np.intp)
    places = np.flatnonzero((used < _FIRST_PLAIN) | (used == _QUOTE) | (used == _BACKSLASH))
    return np.unique(np.searchsorted(ends, places + ends[0], side="right") - 1)
