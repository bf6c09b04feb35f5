"""Many columns of members into lines: the fewer the pieces of a line, the faster it is put together.

Columns that come as codes are taken together, neighbour by neighbour, while they have few combinations, or while the next one follows from
those before it (title, artist and album from the track): each combination is written once, and its text is one piece of every line.
Pieces are made for all rows at once, lines a few at a time: what a few lines are put together from stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.json_columns import DictionaryColumn, Member, Piece, PlainColumn, Rows

_MOST_COMBINATIONS = 1 << 16
_LINES_AT_ONCE = 4_096


@dataclass(frozen=True)
class _CodedPiece:
    """Texts, and for each row the number of its own."""

    texts: pa.Array
    codes: pa.Array


_Part: TypeAlias = Piece | _CodedPiece
_Varying = TypeVar("_Varying")


def write_json_lines(members: Sequence[DictionaryColumn | PlainColumn], rows: int) -> Iterator[pa.Buffer]:
    """The lines of all rows, each a JSON object with a newline at its end, some thousand lines at a time."""
    parts = _merge_constants([part for group in _group(members) for part in group])
    opens = bool(parts) and isinstance(parts[0], str)
    closed = _merge_constants(["{" + str(parts[0])[1:], *parts[1:], "}\n"] if opens else [*parts, "}\n"])
    for first in range(0, rows, _LINES_AT_ONCE):
        count = min(_LINES_AT_ONCE, rows - first)
        lines = _join([_cut(part, first, count) for part in closed], count)
        yield lines if opens else _open(lines)


def _cut(part: _Part, first: int, count: int) -> Piece:
    """The part of those rows."""
    if isinstance(part, str):
        return part
    return part.texts.take(part.codes.slice(first, count)) if isinstance(part, _CodedPiece) else part.slice(first, count)


def _join(pieces: Sequence[Piece], rows: int) -> pa.Buffer:
    """The lines one after another."""
    if len(pieces) == 1:
        return pa.py_buffer(str(pieces[0]).encode() * rows)
    lines = _join_texts(pieces)
    _, offsets, data = lines.buffers()
    return data.slice(0, int(np.frombuffer(offsets, np.int32)[rows]))


def _open(lines: pa.Buffer) -> pa.Buffer:
    """Lines that begin with a member that not every row has: the brace takes the place of the first comma."""
    return pa.py_buffer(b"".join([b"{%b\n" % line.removeprefix(b",") for line in lines.to_pybytes().split(b"\n")[:-1]]))


def _join_texts(pieces: Sequence[Piece]) -> pa.Array:
    return pc.binary_join_element_wise(*pieces, "", null_handling="replace", null_replacement="")


def _merge_constants(parts: Sequence[str | _Varying]) -> list[str | _Varying]:
    """Constant parts beside each other made one."""
    merged: list[str | _Varying] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def _group(members: Sequence[DictionaryColumn | PlainColumn]) -> Iterator[Sequence[_Part]]:
    """The parts of each run of members that are written together."""
    group: _Combinations | None = None
    for member in members:
        if group is not None and group.take_in(member):
            continue
        if group is not None:
            yield [group.write()]
        group = _Combinations(member) if isinstance(member, DictionaryColumn) else None
        if group is None:
            yield member.write()
    if group is not None:
        yield [group.write()]


class _Combinations:
    """Neighbouring members, and for each row the number of their combination."""

    def __init__(self, first: DictionaryColumn) -> None:
        self._members: list[Member] = [first]
        self._codes, self._size = first.codes, first.size
        self._example_of_row: Rows | None = None

    def take_in(self, member: DictionaryColumn | PlainColumn) -> bool:
        """Whether the member goes together with those that are here; then it is one of them."""
        if isinstance(member, DictionaryColumn) and member.is_constant:
            self._members.append(member)
            return True
        values = member.codes if isinstance(member, DictionaryColumn) else member.numbers
        if values is None:
            return False
        if isinstance(member, DictionaryColumn) and self._size * member.size <= _MOST_COMBINATIONS:
            self._number(self._codes * member.size + values, self._size * member.size)
        elif not np.array_equal(values, values[self._list_examples()]):
            return False
        self._members.append(member)
        return True

    def write(self) -> _Part:
        """The text of all members of each row."""
        self._number(self._codes, self._size)
        example = np.empty(self._size, np.intp)
        example[self._codes] = np.arange(len(self._codes))
        texts: list[Piece] = _merge_constants([piece for member in self._members for piece in member.write(example)])
        written = texts[0] if len(texts) == 1 else _join_texts(texts)
        if isinstance(written, str):
            return written
        return written[0].as_py() if len(written) == 1 else _CodedPiece(written, pa.array(self._codes.astype(np.int32)))

    def _number(self, codes: Rows, size: int) -> None:
        """Take these codes, numbered anew so that each is in use."""
        used = np.flatnonzero(np.bincount(codes, minlength=size))
        if len(used) < size:
            place = np.empty(size, np.intp)
            place[used] = np.arange(len(used))
            codes = place[codes]
        self._codes, self._size, self._example_of_row = codes, len(used), None

    def _list_examples(self) -> Rows:
        """For each row a row of the same combination, the same one for all of these."""
        if self._example_of_row is None:
            example = np.empty(self._size, np.intp)
            example[self._codes] = np.arange(len(self._codes))
            self._example_of_row = example[self._codes]
        return self._example_of_row
