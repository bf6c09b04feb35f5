"""Import files of events in the contract's own fields."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from soundlake.broker.validation import MAX_RECORD_BYTES
from soundlake.contract import HISTORY
from soundlake.contract.decode import decode_records
from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.history import BrokenFile, read_event_records
from soundlake.importing.report import ImportReport, OnBytesRead, RowCounts
from soundlake.importing.row_publisher import RowPublisher

SOURCE = "events"
_KEY_BYTES = 64 * 1024  # room for the key: the log limits key and value together


def import_events(files: Sequence[Path], publisher: RowPublisher, *, now: datetime, on_bytes_read: OnBytesRead) -> ImportReport:
    """Publish every record of the files unchanged; records that the sink's decoder rejects count as refused.

    A file that cannot be read to its end is named in the report; the records before that point are imported.
    Raises Unavailable if the log does not take the records.
    """
    report = ImportReport(SOURCE)
    counts = report.by_listener.setdefault("", RowCounts())
    for path in files:
        try:
            for records in read_event_records(path, on_bytes_read):
                _import_records(records, counts, publisher, now)
        except BrokenFile as broken:
            report.files_broken.append(broken)
        else:
            report.files_read.append(path.name)
    return report


def _import_records(records: list[bytes], counts: RowCounts, publisher: RowPublisher, now: datetime) -> None:
    values = [_replace_large(record) if len(record) > MAX_RECORD_BYTES - _KEY_BYTES else record for record in records]
    times = pa.repeat(pa.scalar(int(now.timestamp() * 1000), pa.int64()), len(values))
    decoded = decode_records(HISTORY, pa.array(values, pa.binary()), times)
    is_new = publisher.publish_records(decoded.events, [values[row] for row in decoded.event_rows.tolist()])
    counts.count_events(decoded.events, pa.array(is_new))
    refused = [values[row] for row in decoded.rejected["row"].to_pylist()]
    publisher.publish_refused([None] * len(refused), refused)
    counts.refused_by_reason.update(decoded.rejected["reason"].to_pylist())


def _replace_large(record: bytes) -> bytes:
    """A refused row with size and hash of a record that is larger than the log takes."""
    return wrap_refused_row("too_large", SOURCE, "", {"bytes": len(record), "sha256": hashlib.sha256(record).hexdigest()})
