"""Recognise the header of a CSV file: the separator of its lines and cells, and the names of its columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass

from soundlake.contract.unknown_fields import KNOWN_FIELDS
from soundlake.history.csv_rows import has_bare_returns

_DELIMITERS = ",;\t|"
_EXCEL_HINT = re.compile(r"sep=(.)\r?$")


@dataclass(frozen=True)
class CsvHeader:
    """The names of the columns, the delimiter of the cells, the end of a line, and how many lines there are up to the rows."""

    names: tuple[str, ...]
    delimiter: str
    line_end: bytes
    lines: int

    @property
    def duplicates(self) -> list[str]:
        """The names that several columns have."""
        return [name for name, count in Counter(self.names).items() if count > 1]


def read_csv_header(head: bytes) -> CsvHeader | None:
    """Read the header from the first bytes of a file (UTF-8, no byte order mark); None if it names no field of an event.

    The delimiter is the one that gives the most names of fields; a first line `sep=;`, as Excel reads it, is skipped.
    """
    line_end = b"\r" if has_bare_returns(head) else b"\n"
    lines = head.decode("utf-8", "surrogateescape").split(line_end.decode(), 2)
    hint = _EXCEL_HINT.match(lines[0])
    line = lines[1] if hint and len(lines) > 1 else lines[0]
    best = max((_split(line, delimiter) for delimiter in ((hint[1] if hint else "") + _DELIMITERS)), key=_count_known)
    return CsvHeader(best[1], best[0], line_end, 2 if hint else 1) if _count_known(best) else None


def _split(line: str, delimiter: str) -> tuple[str, tuple[str, ...]]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        cells = []
    return delimiter, tuple(cell.strip() for cell in cells)


def _count_known(split: tuple[str, tuple[str, ...]]) -> int:
    return len(KNOWN_FIELDS.intersection(split[1]))
