r"""Read the rows of a CSV file one by one, so that a broken one costs itself alone.

Rows follow RFC 4180. One that does not (text after a closing quote, another number of cells than the header) is read again as Spark writes
quotes, `\"`. If that fails too it is refused. A quote that is never closed takes the rows after it into its cell: then the line with the
quote is refused, and reading goes on with the line after it.

Text is UTF-8. If the first text beyond ASCII is not, the file is one of Excel's: its lines that are not UTF-8 are read as Windows-1252.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.history.event_files.limits import EVENTS_SOURCE, MAX_EVENT_BYTES, limit_record
from soundlake.history.json_values import LargeValue, Value

_MOST_LINES_OF_A_ROW = 1_000


@dataclass(frozen=True)
class CsvRow:
    """The cells of a row and its size; if not `is_text`, bytes that are no text are escaped in the cells (surrogateescape)."""

    cells: list[str]
    is_text: bool
    size_bytes: int


class CsvRows:
    """The rows of a file; `take_refused` gives those that are no row, `lines_of_windows` the number of lines in Windows-1252."""

    def __init__(self, lines: Iterator[Value], delimiter: str, width: int) -> None:
        self._lines = _Lines(lines)
        self._delimiter, self._width = delimiter, width
        self._refused: list[bytes] = []
        csv.field_size_limit(MAX_EVENT_BYTES)

    @property
    def lines_of_windows(self) -> int:
        """How many lines were read as Windows-1252."""
        return self._lines.of_windows

    def __iter__(self) -> Iterator[CsvRow]:
        reader = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        while True:
            self._lines.begin_row()
            try:
                cells: list[str] | None = next(reader)
            except StopIteration:
                return
            except csv.Error:
                cells = None
            if cells is not None and len(cells) == self._width:
                yield self._make_row(cells)
            elif cells is None or len(cells) > 1 or "".join(cells).strip():
                yield from self._recover(cells)

    def take_refused(self) -> list[bytes]:
        """The records of the rows that were refused since the last call."""
        refused, self._refused = self._refused + self._lines.take_oversized(), []
        return refused

    def _make_row(self, cells: list[str]) -> CsvRow:
        return CsvRow(cells, self._lines.is_text, self._lines.size_bytes)

    def _recover(self, cells: list[str] | None) -> Iterator[CsvRow]:
        lines = self._lines.pulled
        text = "".join(lines)
        escaped = self._parse(text, escapes=True) if '\\"' in text else None
        if escaped is not None and len(escaped) == self._width:
            yield self._make_row(escaped)
        elif cells is None or (len(lines) > 1 and all(self._has_width(line) for line in lines[1:])):
            self._lines.push_back_all_but_first()
            self._refuse(self._parse(lines[0], escapes=False), lines[0])
        else:
            self._refuse(cells, text)

    def _refuse(self, cells: list[str] | None, text: str) -> None:
        if cells is None or len(cells) == self._width:
            self._refused.append(wrap_refused_row("malformed_row", EVENTS_SOURCE, "", {"text": text.rstrip("\r\n")}))
        else:
            self._refused.append(wrap_refused_row("ragged_row", EVENTS_SOURCE, "", {"cells": cells}))

    def _has_width(self, line: str) -> bool:
        cells = self._parse(line, escapes=False)
        return cells is not None and len(cells) == self._width

    def _parse(self, text: str, *, escapes: bool) -> list[str] | None:
        """The cells of a row that is all of the text, else None."""
        escape = "\\" if escapes else None
        try:
            rows = list(csv.reader(io.StringIO(text), delimiter=self._delimiter, strict=True, doublequote=not escapes, escapechar=escape))
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 else None


class _Lines:
    """The lines that a csv.reader takes, with those of the current row, which can be given back."""

    def __init__(self, lines: Iterator[Value]) -> None:
        self._lines = lines
        self._waiting: deque[Value] = deque()
        self._oversized: list[bytes] = []
        self._raw: list[bytes] = []
        self._fallback: str | None = None
        self.size_bytes, self.is_text, self.of_windows = 0, True, 0
        self.pulled: list[str] = []

    def begin_row(self) -> None:
        """Forget the lines of the last row."""
        self._raw, self.pulled, self.size_bytes, self.is_text = [], [], 0, True

    def push_back_all_but_first(self) -> None:
        """All lines of the current row but its first are read again."""
        self._waiting.extendleft(reversed(self._raw[1:]))

    def take_oversized(self) -> list[bytes]:
        """The refused rows for lines above the limit since the last call."""
        oversized, self._oversized = self._oversized, []
        return oversized

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._take()
        while isinstance(line, LargeValue):
            if self._raw:
                self._waiting.appendleft(line)
                raise csv.Error("a line above the limit within a row")
            self._oversized.append(limit_record(line))
            line = self._take()
        self.size_bytes += len(line)
        if self._raw and (len(self._raw) >= _MOST_LINES_OF_A_ROW or self.size_bytes > MAX_EVENT_BYTES):
            self._waiting.appendleft(line)
            raise csv.Error("a quote that is not closed")
        self._raw.append(line)
        self.pulled.append(self._decode(line) + "\n")
        return self.pulled[-1]

    def _take(self) -> Value:
        return self._waiting.popleft() if self._waiting else next(self._lines)

    def _decode(self, line: bytes) -> str:
        if line.isascii():
            return line.decode("ascii")
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return self._decode_odd(line)
        self._fallback = self._fallback or "utf-8"
        return text

    def _decode_odd(self, line: bytes) -> str:
        self._fallback = self._fallback or "cp1252"
        try:
            text = line.decode(self._fallback)
        except UnicodeDecodeError:
            self.is_text = False
            return line.decode("utf-8", "surrogateescape")
        self.of_windows += 1
        return text
