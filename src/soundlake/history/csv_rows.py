"""Lines as CSV. A quotation mark that is never closed costs its line, not the rest of the file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

from soundlake.history.json_values import LargeValue, Value
from soundlake.history.models import RefusedRow

_NO_DELIMITERS = re.compile(r'"[^"]*"|&#?\w{1,9};')  # quoted cells and HTML entities
_LINES_OF_A_ROW = 20
"""A row with line breaks in quoted cells has at most this many lines."""


def find_delimiter(line: str) -> str:
    """The delimiter of a CSV file, from its first line: the one of comma, semicolon and tab that it has most of."""
    return max(",;\t", key=_NO_DELIMITERS.sub("", line).count)


def has_bare_returns(head: bytes) -> bool:
    """Whether the lines of a file, of which these are the first bytes, end with carriage returns alone."""
    return b"\r" in head.split(b"\n", 1)[0].rstrip(b"\r")


def end_lines_by_feeds(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks of a CSV file, with line feeds where its lines end with carriage returns alone."""
    is_bare: bool | None = None
    for block in blocks:
        is_bare = has_bare_returns(block) if is_bare is None else is_bare
        yield block.replace(b"\r", b"\n") if is_bare else block


def parse_csv(lines: Iterable[Value]) -> Iterator[list[str] | RefusedRow]:
    """The cells of each row (text that is not UTF-8 is read as Windows-1252); a RefusedRow for what is no row."""
    delimiter: str | None = None
    waiting: list[str] = []
    for value in lines:
        if isinstance(value, LargeValue):
            yield from _parse_waiting(waiting, delimiter or ",")
            waiting = []
            yield value.refuse()
            continue
        line = _decode(value)
        delimiter = delimiter or find_delimiter(line)
        waiting.append(line)
        if sum(text.count('"') for text in waiting) % 2 == 0:
            yield _parse_row("\n".join(waiting), delimiter)
            waiting = []
        elif len(waiting) == _LINES_OF_A_ROW:
            rows = list(_parse_waiting(waiting, delimiter))
            waiting = []
            yield from rows
    yield from _parse_waiting(waiting, delimiter or ",")


def _parse_waiting(lines: list[str], delimiter: str) -> Iterator[list[str] | RefusedRow]:
    """Lines after a quotation mark that is not closed: in the first one it is text."""
    for line in lines:
        yield _parse_row(line, delimiter, quoting=csv.QUOTE_NONE if line.count('"') % 2 else csv.QUOTE_MINIMAL)


def _parse_row(text: str, delimiter: str, *, quoting: int = csv.QUOTE_MINIMAL) -> list[str] | RefusedRow:
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, quoting=quoting, skipinitialspace=True))]  # type: ignore[arg-type]
    except csv.Error:
        return RefusedRow("not_csv", {"value": text})


def _decode(line: bytes) -> str:
    line = line.rstrip(b"\r")
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
