"""Import files of events in the contract's own fields: records in, a report out."""

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
from soundlake.importing.report import ImportReport, RowCounts
from soundlake.importing.row_publisher import RowPublisher
from soundlake.importing.spotify_import import Advance

SOURCE = "events"
_KEY_BYTES = 64 * 1024  # room for the key beside the value: the log's limit is on both together


def import_events(files: Sequence[Path], intake: RowPublisher, *, now: datetime, advance: Advance) -> ImportReport:
    """Publish every record of the files as it stands; what the sink will reject is judged here by its own decoder and counted as refused.

    A file that cannot be read further is named in the report; what came before the break stays imported.
    Raises Unavailable if the log does not take the records.
    """
    report = ImportReport(SOURCE)
    tally = report.by_listener.setdefault("", RowCounts())
    for path in files:
        try:
            for records in read_event_records(path, advance):
                _import_records(records, tally, intake, now)
        except BrokenFile as broken:
            report.files_broken.append(broken)
        else:
            report.files_read.append(path.name)
    return report


def _import_records(records: list[bytes], tally: RowCounts, intake: RowPublisher, now: datetime) -> None:
    values = [_shorten(record) if len(record) > MAX_RECORD_BYTES - _KEY_BYTES else record for record in records]
    times = pa.repeat(pa.scalar(int(now.timestamp() * 1000), pa.int64()), len(values))
    decoded = decode_records(HISTORY, pa.array(values, pa.binary()), times)
    stored = intake.take_records(decoded.events, [values[row] for row in decoded.event_rows.tolist()])
    tally.count_events(decoded.events, pa.array(stored))
    refused = [values[row] for row in decoded.rejected["row"].to_pylist()]
    intake.take_refused([None] * len(refused), refused)
    tally.refused_by_reason.update(decoded.rejected["reason"].to_pylist())


def _shorten(record: bytes) -> bytes:
    """What stands for a record that is larger than the log takes."""
    return wrap_refused_row("too_large", SOURCE, "", {"bytes": len(record), "sha256": hashlib.sha256(record).hexdigest()})
