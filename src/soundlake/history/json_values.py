"""Split JSON text into its values without reading a file whole: the elements of an array, lines, or values one after another.

The values stay bytes. Memory does not grow with the file, nor with one value: what is larger than the limit is only counted and hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson

from soundlake.history.models import BrokenFile, RefusedRow

_BOM = b"\xef\xbb\xbf"
AROUND_VALUES = b", \t\r\n" + _BOM
"""What can be left around a value where files were joined by hand: commas, and the byte order mark of each file."""
_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_OPENING, _CLOSING = b"[{", b"]}"
_IS_STRUCTURAL = np.zeros(256, bool)
_IS_STRUCTURAL[list(b'"\\,[]{}')] = True
_STEPS = np.zeros(256, np.int64)
_STEPS[list(_OPENING)], _STEPS[list(_CLOSING)] = 1, -1
_LINES_TRIED = 5


@dataclass(frozen=True)
class LargeValue:
    """A value that is larger than the limit: only its size and hash are kept."""

    size_bytes: int
    sha256: str

    def refuse(self) -> RefusedRow:
        """The refused row that is kept in its place."""
        return RefusedRow("too_large", {"bytes": self.size_bytes, "sha256": self.sha256})


Value = bytes | LargeValue


class _Splitter(Protocol):
    def feed(self, block: bytes) -> list[Value]:
        """The values that end in this block."""

    def close(self) -> list[Value]:
        """The last value, which nothing ends. Raises BrokenFile if the text ends in the middle of an array or an object."""


def split_json(name: str, blocks: Iterable[bytes], *, max_value_bytes: int) -> Iterator[list[Value]]:
    """The values of a JSON text (UTF-8, with or without a byte order mark), in lists of those that end in one block.

    An array gives its elements, arrays one after another the elements of each; other text gives a value a line if one of its first lines
    is a value, else values by their brackets (objects over several lines). Values are not checked. Raises BrokenFile if brackets do not
    match or the text ends inside of an array.
    """
    splitter: _Splitter | None = None
    for block in blocks:
        if splitter is None:
            block = block.removeprefix(_BOM)  # noqa: PLW2901  # the first block only
            splitter = _choose_splitter(name, block, max_value_bytes)
        yield splitter.feed(block)
    if splitter is not None:
        yield splitter.close()


def split_lines(blocks: Iterable[bytes], *, max_value_bytes: int, keep_blank: bool = False) -> Iterator[list[Value]]:
    """The lines of a text, without a byte order mark and without blank lines, in lists of those that end in one block."""
    splitter = _LineSplitter(max_value_bytes, keep_blank=keep_blank)
    for number, block in enumerate(blocks):
        yield splitter.feed(block if number else block.removeprefix(_BOM))
    yield splitter.close()


def _choose_splitter(name: str, first: bytes, max_value_bytes: int) -> _Splitter:
    text = first.lstrip()
    if not text.startswith(b"[") and any(map(_is_object, text.split(b"\n", _LINES_TRIED)[:_LINES_TRIED])):
        return _LineSplitter(max_value_bytes)
    return _BracketSplitter(name, is_array=text.startswith(b"["), max_value_bytes=max_value_bytes)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line.strip(AROUND_VALUES)), dict)
    except orjson.JSONDecodeError:
        return False


class _Pending:
    """The beginning of a value whose end has not been read yet."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._clear()

    def _clear(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, part: bytes) -> None:
        self._size += len(part)
        self._hash.update(part)
        self._parts.append(part)
        if self._size > self._max_bytes:
            self._parts.clear()

    def take(self, part: bytes) -> Value:
        """The value, with `part` as its end."""
        if not self._size and len(part) <= self._max_bytes:
            return part
        self.add(part)
        value = LargeValue(self._size, self._hash.hexdigest()) if self._size > self._max_bytes else b"".join(self._parts)
        self._clear()
        return value


class _LineSplitter:
    def __init__(self, max_value_bytes: int, *, keep_blank: bool = False) -> None:
        self._pending = _Pending(max_value_bytes)
        self._keep_blank = keep_blank

    def feed(self, block: bytes) -> list[Value]:
        *lines, rest = block.split(b"\n")
        values: list[Value] = [self._pending.take(line) if number == 0 else line for number, line in enumerate(lines)]
        self._pending.add(rest)
        return self._clean(values)

    def close(self) -> list[Value]:
        return self._clean([self._pending.take(b"")])

    def _clean(self, values: list[Value]) -> list[Value]:
        return values if self._keep_blank else [value for value in values if _has_text(value)]


def _has_text(value: Value) -> bool:
    return isinstance(value, LargeValue) or not (not value or value.isspace())


class _BracketSplitter:
    """Follows strings and brackets: cuts an array at its commas, and other text behind each closed object."""

    def __init__(self, name: str, *, is_array: bool, max_value_bytes: int) -> None:
        self._name = name
        self._is_array = is_array
        self._pending = _Pending(max_value_bytes)
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._bytes = 0
        self._lines = 1

    def feed(self, block: bytes) -> list[Value]:
        values: list[Value] = []
        start = 0
        for cut in self._find_cuts(block).tolist():
            values.append(self._pending.take(block[start : cut if self._is_array else cut + 1]))
            start = cut + 1
        self._pending.add(block[start:])
        self._bytes += len(block)
        self._lines += block.count(b"\n")
        return self._clean(values)

    def close(self) -> list[Value]:
        if self._depth or self._in_string:
            raise BrokenFile(self._name, "ends in the middle", line=self._lines, byte=self._bytes)
        return self._clean([self._pending.take(b"")])

    def _clean(self, values: list[Value]) -> list[Value]:
        stripped = (value if isinstance(value, LargeValue) else value.strip(AROUND_VALUES) for value in values)
        return [value for value in stripped if _has_text(value)]

    def _find_cuts(self, block: bytes) -> npt.NDArray[np.int64]:
        codes = np.frombuffer(block, np.uint8)
        places = np.flatnonzero(_IS_STRUCTURAL[codes])
        found = codes[places]
        is_quote = found == _QUOTE
        escaped = self._find_escaped(places[found == _BACKSLASH], len(block))
        if len(escaped):
            is_quote &= ~np.isin(places, escaped, assume_unique=True)
        quotes = np.cumsum(is_quote) + self._in_string
        outside = (quotes & 1 == 0) & ~is_quote & (found != _BACKSLASH)
        places, found = places[outside], found[outside]
        steps = _STEPS[found]
        depths = np.cumsum(steps) + self._depth
        if len(depths) and depths.min() < 0:
            wrong = int(places[depths < 0][0])
            raise BrokenFile(
                self._name,
                "is not valid JSON: a bracket is closed that was never opened",
                line=self._lines + block.count(b"\n", 0, wrong),
                byte=self._bytes + wrong,
            )
        self._depth = int(depths[-1]) if len(depths) else self._depth
        self._in_string = bool(quotes[-1] & 1) if len(quotes) else self._in_string
        ends = (steps < 0) & (depths == 0)
        if self._is_array:
            ends |= ((steps > 0) & (depths == 1)) | ((found == _COMMA) & (depths == 1))
        cuts: npt.NDArray[np.int64] = places[ends]
        return cuts

    def _find_escaped(self, backslashes: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
        """The places behind each run of an odd number of backslashes; a run may begin in the block before."""
        first = [0] if self._is_escaped and size else []
        if first and len(backslashes) and backslashes[0] == 0:
            backslashes = backslashes[1:]
        self._is_escaped = self._is_escaped and not size
        if not len(backslashes):
            return np.array(first, np.int64)
        starts = np.flatnonzero(np.diff(backslashes, prepend=-2) != 1)
        lengths = np.diff(starts, append=len(backslashes))
        behind: npt.NDArray[np.int64] = (backslashes[starts] + lengths)[lengths % 2 == 1]
        self._is_escaped = bool(len(behind)) and int(behind[-1]) == size
        places: npt.NDArray[np.int64] = np.concatenate([np.array(first, np.int64), behind])
        return places
