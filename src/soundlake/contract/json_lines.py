"""Join JSON columns into lines. The fewer fragments a line has, the faster it is joined.

Neighbouring dictionary-encoded columns are combined while they have few combinations of values, or while the next column is determined by
those before it (title, artist and album by the track). Each combination is written once; its text is then one fragment of a line.
Fragments are made for all rows at once and lines in small blocks, so that the input of a block stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.json_columns import DictionaryColumn, Fragment, JsonColumn, PlainColumn, Rows

_MOST_COMBINATIONS = 1 << 16
_LINES_AT_ONCE = 4_096


@dataclass(frozen=True)
class _DictionaryFragment:
    """Distinct texts, and the code of each row's text."""

    texts: pa.Array
    codes: pa.Array


_Part: TypeAlias = Fragment | _DictionaryFragment
_PerRow = TypeVar("_PerRow")


def write_json_lines(columns: Sequence[DictionaryColumn | PlainColumn], rows: int) -> Iterator[pa.Buffer]:
    """Write each row as a JSON object with a newline at its end; yields blocks of some thousand lines."""
    parts = _merge_constants([part for group in _group(columns) for part in group])
    has_brace = bool(parts) and isinstance(parts[0], str)
    closed = _merge_constants(["{" + str(parts[0])[1:], *parts[1:], "}\n"] if has_brace else [*parts, "}\n"])
    for first in range(0, rows, _LINES_AT_ONCE):
        count = min(_LINES_AT_ONCE, rows - first)
        lines = _join([_cut(part, first, count) for part in closed], count)
        yield lines if has_brace else _add_braces(lines)


def _cut(part: _Part, first: int, count: int) -> Fragment:
    """Take `count` rows of a part, from row `first` on."""
    if isinstance(part, str):
        return part
    return part.texts.take(part.codes.slice(first, count)) if isinstance(part, _DictionaryFragment) else part.slice(first, count)


def _join(fragments: Sequence[Fragment], rows: int) -> pa.Buffer:
    """Join the fragments of each line, and the lines, into one buffer."""
    if len(fragments) == 1:
        return pa.py_buffer(str(fragments[0]).encode() * rows)
    lines = _join_texts(fragments)
    _, offsets, data = lines.buffers()
    return data.slice(0, int(np.frombuffer(offsets, np.int32)[rows]))


def _add_braces(lines: pa.Buffer) -> pa.Buffer:
    """Add the opening brace to each line, in place of its first comma, if not every row has the first column."""
    return pa.py_buffer(b"".join([b"{%b\n" % line.removeprefix(b",") for line in lines.to_pybytes().split(b"\n")[:-1]]))


def _join_texts(fragments: Sequence[Fragment]) -> pa.Array:
    return pc.binary_join_element_wise(*fragments, "", null_handling="replace", null_replacement="")


def _merge_constants(parts: Sequence[str | _PerRow]) -> list[str | _PerRow]:
    """Merge adjacent constant parts."""
    merged: list[str | _PerRow] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def _group(columns: Sequence[DictionaryColumn | PlainColumn]) -> Iterator[Sequence[_Part]]:
    """Yield the parts of each run of columns that are combined."""
    group: _Combinations | None = None
    for column in columns:
        if group is not None and group.try_add(column):
            continue
        if group is not None:
            yield [group.write()]
        group = _Combinations(column) if isinstance(column, DictionaryColumn) else None
        if group is None:
            yield column.write()
    if group is not None:
        yield [group.write()]


class _Combinations:
    """Neighbouring columns, and for each row the code of its combination of values."""

    def __init__(self, first: DictionaryColumn) -> None:
        self._columns: list[JsonColumn] = [first]
        self._codes, self._size = first.codes, first.size
        self._example_of_row: Rows | None = None

    def try_add(self, column: DictionaryColumn | PlainColumn) -> bool:
        """Add the column if it can be combined with those before it; return whether it was added."""
        if isinstance(column, DictionaryColumn) and column.is_constant:
            self._columns.append(column)
            return True
        values = column.codes if isinstance(column, DictionaryColumn) else column.numbers
        if values is None:
            return False
        if isinstance(column, DictionaryColumn) and self._size * column.size <= _MOST_COMBINATIONS:
            self._set_codes(self._codes * column.size + values, self._size * column.size)
        elif not np.array_equal(values, values[self._list_examples()]):
            return False
        self._columns.append(column)
        return True

    def write(self) -> _Part:
        """Write the members of each row as one part."""
        self._set_codes(self._codes, self._size)
        example = np.empty(self._size, np.intp)
        example[self._codes] = np.arange(len(self._codes))
        texts: list[Fragment] = _merge_constants([fragment for column in self._columns for fragment in column.write(example)])
        written = texts[0] if len(texts) == 1 else _join_texts(texts)
        if isinstance(written, str):
            return written
        return written[0].as_py() if len(written) == 1 else _DictionaryFragment(written, pa.array(self._codes.astype(np.int32)))

    def _set_codes(self, codes: Rows, size: int) -> None:
        """Set the codes of the rows, renumbered without gaps."""
        used = np.flatnonzero(np.bincount(codes, minlength=size))
        if len(used) < size:
            place = np.empty(size, np.intp)
            place[used] = np.arange(len(used))
            codes = place[codes]
        self._codes, self._size, self._example_of_row = codes, len(used), None

    def _list_examples(self) -> Rows:
        """For each row, one row with the same combination; all rows of a combination get the same one."""
        if self._example_of_row is None:
            example = np.empty(self._size, np.intp)
            example[self._codes] = np.arange(len(self._codes))
            self._example_of_row = example[self._codes]
        return self._example_of_row
