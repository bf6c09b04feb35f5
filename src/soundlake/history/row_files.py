"""A file as rows: JSON values or lines of CSV, in lists, with what is no row marked as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import orjson

from soundlake.history.csv_rows import end_lines_by_feeds, parse_csv
from soundlake.history.json_rows import parse_document
from soundlake.history.json_values import AROUND_VALUES, LargeValue, Value, split_json, split_lines
from soundlake.history.models import BrokenFile, RefusedRow
from soundlake.history.source_files import SourceFile

MAX_WHOLE_BYTES = 32 * 1024**2
"""A JSON document up to this size is parsed whole: an error has its exact place, and no row is read. Files of exports have up to 13 MB."""
MAX_VALUE_BYTES = 16 * 1024**2
"""Limit of one row, or one page of rows; a larger one is refused with its size and hash."""
_BATCH_ROWS = 50_000


@dataclass(frozen=True)
class RowFile:
    """One file that a reader reads."""

    file: SourceFile
    on_bytes_read: Callable[[int], None] = field(default=lambda _: None)

    @property
    def name(self) -> str:
        """Its name in reports."""
        return self.file.name

    def read_json(self) -> Iterator[list[object]]:
        """Its JSON values (elements of arrays, lines, objects one after another); a RefusedRow for each that is none. Raises BrokenFile."""
        blocks = self._read_blocks()
        first, size = [], 0
        for block in blocks:
            first.append(block)
            size += len(block)
            if size > MAX_WHOLE_BYTES:
                break
        else:
            data = b"".join(first)
            document = parse_document(self.name, data)
            if document is not None:
                yield document
                return
            first = [data]
        for values in split_json(self.name, chain(first, blocks), max_value_bytes=MAX_VALUE_BYTES):
            yield parse_values(values)

    def read_csv(self) -> Iterator[list[list[str] | RefusedRow]]:
        """Its lines as CSV, without empty ones; a RefusedRow for each that is none. Raises BrokenFile."""
        blocks = end_lines_by_feeds(self._read_blocks())
        rows = parse_csv(line for values in split_lines(blocks, max_value_bytes=MAX_VALUE_BYTES) for line in values)
        while batch := list(islice(rows, _BATCH_ROWS)):
            yield batch

    def _read_blocks(self) -> Iterator[bytes]:
        return self.file.read_blocks(self.on_bytes_read)


def parse_values(values: Sequence[Value]) -> list[object]:
    """The values parsed; a RefusedRow for each that is not valid JSON or too large."""
    try:
        parsed: list[object] = orjson.loads(b"[%b]" % b",".join(values))  # type: ignore[arg-type]  # TypeError: a value is too large
    except (orjson.JSONDecodeError, TypeError):
        parsed = []
    return parsed if len(parsed) == len(values) else list(map(_parse_value, values))


def _parse_value(value: Value) -> object:
    if isinstance(value, LargeValue):
        return value.refuse()
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return _parse_leniently(value.strip(AROUND_VALUES))


def _parse_leniently(value: bytes) -> object:
    try:
        rows = parse_document("", b"[%b]" % value)
    except BrokenFile:
        rows = None
    return rows[0] if rows and len(rows) == 1 else RefusedRow("not_json", {"value": value.decode(errors="replace")})
