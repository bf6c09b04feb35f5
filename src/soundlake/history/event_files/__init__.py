"""Read files of events in the contract's own fields, as other tools write them: NDJSON, JSON arrays, CSV with a header, Parquet.

A file is recognised by its content and may be packed (gzip, zstd, bzip2). Every row becomes one record of the log, as JSON. Cells are
judged one by one (`cells`): a bad one costs its row, not its column. The same rows give the same events in every form.
"""

from __future__ import annotations

from collections.abc import Iterator

from soundlake.history.event_files.csv_form import read_csv
from soundlake.history.event_files.discovery import EventFiles, find_event_files
from soundlake.history.event_files.json_form import normalize_records, read_json
from soundlake.history.event_files.limits import EVENTS_SOURCE, MAX_EVENT_BYTES
from soundlake.history.event_files.parquet_form import read_parquet
from soundlake.history.event_files.rows import Notes, describe_notes
from soundlake.history.event_files.sources import EventFile, OnBytesRead, recognise_form

__all__ = [
    "EVENTS_SOURCE", "MAX_EVENT_BYTES", "EventFile", "EventFiles", "Notes", "describe_notes", "find_event_files", "normalize_records",
    "read_event_records",
]  # fmt: skip


def read_event_records(file: EventFile, notes: Notes, on_bytes_read: OnBytesRead) -> Iterator[list[bytes]]:
    """The rows of one file as records, valid or not, in batches; none is larger than MAX_EVENT_BYTES.

    Records of JSON files are as they were written: `normalize_records` converts those that the decoder does not accept. Raises BrokenFile
    if the file holds no events or cannot be read to its end, after the rows before that point.
    """
    form = recognise_form(file)
    if form == "parquet":
        yield from read_parquet(file, notes, on_bytes_read)
    elif form == "csv":
        yield from read_csv(file, notes, on_bytes_read)
    elif form != "empty":
        yield from read_json(file, notes, on_bytes_read, is_lines=form == "lines")
