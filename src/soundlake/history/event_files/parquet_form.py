"""Read events from Parquet, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.contract.unknown_fields import KNOWN_FIELDS
from soundlake.history.event_files.columns import read_values, unwrap
from soundlake.history.event_files.rows import Notes, write_extras, write_records
from soundlake.history.event_files.sources import EventFile, OnBytesRead
from soundlake.history.models import BrokenFile

_BATCH_ROWS = 50_000
_BATCH_BYTES = 32 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024  # a column of a row group is read piece by piece, not whole


def read_parquet(file: EventFile, notes: Notes, on_bytes_read: OnBytesRead) -> Iterator[list[bytes]]:
    """The rows as records. Raises BrokenFile, after the rows before, if the file cannot be read to its end."""
    size, done = file.size_bytes, 0
    try:
        with pq.ParquetFile(file.path, buffer_size=_BUFFER_BYTES, coerce_int96_timestamp_unit="us") as parquet:
            _check_names(file, parquet.schema_arrow.names)
            count = max(parquet.metadata.num_rows, 1)
            for batch in parquet.iter_batches(_choose_batch_rows(parquet.metadata)):
                yield _write_batch(batch, file, notes)
                done += len(batch)
                on_bytes_read(size * len(batch) // count)
    except (pa.ArrowException, OSError) as cause:
        raise BrokenFile(file.name, f"cannot be read to its end, only the first {done:,} rows: {cause}") from cause


def _write_batch(batch: pa.RecordBatch, file: EventFile, notes: Notes) -> list[bytes]:
    known = {name: column for name, column in zip(batch.schema.names, batch.columns, strict=True) if name in KNOWN_FIELDS}
    unknown = {name: read_values(unwrap(batch.column(name))) for name in batch.schema.names if name not in KNOWN_FIELDS}
    for name, text in file.folder_fields.items():
        known.setdefault(name, pa.repeat(pa.scalar(text, pa.string()), len(batch)))
    return write_records(known, write_extras(unknown, len(batch)), notes)


def _check_names(file: EventFile, names: list[str]) -> None:
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates:
        raise BrokenFile(file.name, f"has several columns {', '.join(duplicates)}")
    if not KNOWN_FIELDS.intersection(names):
        raise BrokenFile(file.name, f"has no column with the name of a field of an event, only {', '.join(names) or 'none at all'}")


def _choose_batch_rows(metadata: pq.FileMetaData) -> int:
    """So many rows that a batch of long texts is not larger than one of short ones."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=1)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(row_bytes, 1)))
