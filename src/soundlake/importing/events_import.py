"""Import files of events in the contract's own fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract import EVENT_SCHEMA, HISTORY, Decoded, decode_records
from soundlake.history import EVENTS_SOURCE, BrokenFile, EventFiles, Notes, describe_notes, normalize_records, read_event_records
from soundlake.importing.report import ImportReport, OnBytesRead, RowCounts
from soundlake.importing.row_publisher import RowPublisher

_TEXTS = [field.name for field in EVENT_SCHEMA if pa.types.is_string(field.type) and field.name != "extra"]
_BATCH_ROWS = 25_000
_BATCH_BYTES = 8 * 1024 * 1024
_LOOSE_EXTRA = r':(null|"")[,}]|"extra":'


def import_events(files: EventFiles, publisher: RowPublisher, *, now: datetime, on_bytes_read: OnBytesRead) -> ImportReport:
    """Publish every row of the files. A row that the wire takes is published as it was written, others in normal form.

    Rows that the sink's decoder rejects even so count as refused. A file that cannot be read to its end is named in the report; the rows
    before that point are imported. Raises Unavailable if the log does not take the records.
    """
    report, notes = ImportReport(files_left_out=list(files.left_out)), Notes()
    batches = _Batches(report.get_counts(EVENTS_SOURCE, ""), notes, publisher, now)
    for file in files.files:
        try:
            for records in read_event_records(file, notes, on_bytes_read):
                batches.add(records)
        except BrokenFile as broken:
            report.files_broken.append(broken)
        else:
            report.files_read.append(file.name)
    batches.flush()
    report.notes += describe_notes(notes)
    return report


class _Batches:
    """Collects records to batches of some size, publishes and counts them."""

    def __init__(self, counts: RowCounts, notes: Notes, publisher: RowPublisher, now: datetime) -> None:
        self._counts, self._notes, self._publisher = counts, notes, publisher
        self._now_ms = int(now.timestamp() * 1000)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, records: Sequence[bytes]) -> None:
        """Publish the records, or keep them until there are more: a commit of the log costs as much for one record as for thousands."""
        self._waiting += records
        self._waiting_bytes += sum(map(len, records))
        if len(self._waiting) >= _BATCH_ROWS or self._waiting_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Publish what is kept."""
        if self._waiting:
            self._publish_batch(self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def _publish_batch(self, records: Sequence[bytes]) -> None:
        decoded = self._decode(records)
        is_loose = find_loose(decoded.events)
        self._publish(records, decoded.events.filter(pa.array(~is_loose)), decoded.event_rows[~is_loose])
        reasons = dict(zip(decoded.rejected["row"].to_pylist(), decoded.rejected["reason"].to_pylist(), strict=True))
        doubtful = sorted({*reasons, *decoded.event_rows[is_loose].tolist()})
        if doubtful:
            self._add_normalized([records[row] for row in doubtful], [reasons.get(row) for row in doubtful])

    def _add_normalized(self, records: Sequence[bytes], reasons: Sequence[str | None]) -> None:
        """The same for records that are not in normal form. One that is refused for the same reason as before stays as it was."""
        normal = normalize_records(records, self._notes)
        decoded = self._decode(normal)
        self._publish(normal, decoded.events, decoded.event_rows)
        refused = [
            records[row] if reasons[row] == reason else normal[row]
            for row, reason in zip(decoded.rejected["row"].to_pylist(), decoded.rejected["reason"].to_pylist(), strict=True)
        ]
        self._publisher.publish_refused([None] * len(refused), refused)
        self._counts.refused_by_reason.update(decoded.rejected["reason"].to_pylist())

    def _decode(self, records: Sequence[bytes]) -> Decoded:
        times = pa.repeat(pa.scalar(self._now_ms, pa.int64()), len(records))
        return decode_records(HISTORY, pa.array(records, pa.binary()), times)

    def _publish(self, records: Sequence[bytes], events: pa.Table, rows: np.ndarray) -> None:
        is_forgotten = self._publisher.forgotten.find(events)
        if is_forgotten.any():
            self._counts.rows_forgotten += int(is_forgotten.sum())
            events, rows = events.filter(pa.array(~is_forgotten)), rows[~is_forgotten]
        is_new = self._publisher.publish_records(events, [records[row] for row in rows.tolist()])
        self._counts.count_events(events, pa.array(is_new))


def find_loose(events: pa.Table) -> np.ndarray:
    """Find the events that the wire takes and that mean the same as others in normal form: empty texts, nulls in unknown fields.

    Other forms of file have no such cells: in CSV the empty cell is null.
    """
    is_loose = np.zeros(len(events), bool)
    for name in _TEXTS:
        if events[name].null_count < len(events):
            is_loose |= pc.fill_null(pc.equal(pc.binary_length(events[name]), 0), fill_value=False).to_numpy()
    if events["extra"].null_count < len(events):
        is_loose |= pc.fill_null(pc.match_substring_regex(events["extra"], _LOOSE_EXTRA), fill_value=False).to_numpy()
    return is_loose
