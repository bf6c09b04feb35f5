"""Read events from CSV with a header: with any of the usual delimiters, quoted or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import pyarrow as pa

from soundlake.contract.unknown_fields import KNOWN_FIELDS
from soundlake.history.event_files.csv_header import CsvHeader, read_csv_header
from soundlake.history.event_files.csv_rows import CsvRow, CsvRows
from soundlake.history.event_files.limits import MAX_EVENT_BYTES, limit_record
from soundlake.history.event_files.rows import LINES_AS_WINDOWS_1252, Notes, write_extras, write_records
from soundlake.history.event_files.sources import EventFile, OnBytesRead, read_blocks, read_head
from soundlake.history.json_values import split_lines
from soundlake.history.models import BrokenFile

_BATCH_ROWS = 25_000
_BATCH_BYTES = 4 * 1024 * 1024
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,7})\.[0-9]{1,7}", re.ASCII)
_BOOLEANS: dict[str, object] = {"true": True, "True": True, "false": False, "False": False}


def read_csv(file: EventFile, notes: Notes, on_bytes_read: OnBytesRead) -> Iterator[list[bytes]]:
    """The rows as records. Raises BrokenFile for a header of no use, and after the rows before if the file cannot be read to its end."""
    header = _read_header(file)
    blocks = read_blocks(file, on_bytes_read)
    if header.line_end != b"\n":
        blocks = (block.replace(header.line_end, b"\n") for block in blocks)
    lines = chain.from_iterable(split_lines(blocks, max_value_bytes=MAX_EVENT_BYTES, keep_blank=True))
    rows = CsvRows(islice(lines, header.lines, None), header.delimiter, len(header.names))
    batch: list[CsvRow] = []
    size, broken = 0, None
    try:
        for row in rows:
            batch.append(row)
            size += row.size_bytes
            if len(batch) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                yield _write_batch(header, batch, file, notes) + rows.take_refused()
                batch, size = [], 0
    except BrokenFile as cause:
        broken = cause
    yield _write_batch(header, batch, file, notes) + rows.take_refused()
    notes[LINES_AS_WINDOWS_1252] += rows.lines_of_windows
    if broken is not None:
        raise broken


def _read_header(file: EventFile) -> CsvHeader:
    header = read_csv_header(read_head(file))
    if header is None:
        raise BrokenFile(file.name, "has no header with the names of the fields of an event")
    if header.duplicates:
        raise BrokenFile(file.name, f"has several columns {', '.join(header.duplicates)}", line=header.lines)
    try:
        "".join(header.names).encode()
    except UnicodeEncodeError as cause:
        raise BrokenFile(file.name, "has a header that is not UTF-8", line=header.lines) from cause
    return header


def _write_batch(header: CsvHeader, rows: Sequence[CsvRow], file: EventFile, notes: Notes) -> list[bytes]:
    good = [row.cells for row in rows if row.is_text]
    columns = dict(zip(header.names, zip(*good, strict=True), strict=True)) if good else {}
    known = {name: pa.array(column, pa.string()) for name, column in columns.items() if name in KNOWN_FIELDS}
    for name, text in file.folder_fields.items():
        known.setdefault(name, pa.repeat(pa.scalar(text, pa.string()), len(good)))
    unknown = {
        name: column if name == "extra" else [_read_value(text) for text in column]
        for name, column in columns.items()
        if name not in KNOWN_FIELDS
    }
    records = write_records(known, write_extras(unknown, len(good)), notes) if good else []
    return records + [_write_undecodable(header, row.cells) for row in rows if not row.is_text]


def _read_value(text: str) -> object:
    """A cell of an unknown column: CSV has no types, so what is written as a number or a truth value in JSON is one."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return _BOOLEANS.get(text, text)


def _write_undecodable(header: CsvHeader, cells: list[str]) -> bytes:
    """A record with the bytes as they were: the decoder refuses it as not UTF-8, and they stay readable."""
    fields = dict(zip(header.names, cells, strict=True))
    return limit_record(json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogateescape"))
