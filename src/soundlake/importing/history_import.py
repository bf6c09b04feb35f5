"""Import files of listening history, of any source that has a reader."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker.validation import MAX_RECORD_BYTES
from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.history import BrokenFile, HistoryFile, HistoryFiles, HistoryRows, RefusedRow, RowFile
from soundlake.importing.report import ImportReport, OnBytesRead, RowCounts
from soundlake.importing.row_publisher import RowPublisher

_MOST_TEXT_BYTES = MAX_RECORD_BYTES - 128 * 1024
"""Limit of the texts of one event: the rest is room for names of fields, numbers, times and the key."""


def import_history(found: HistoryFiles, publisher: RowPublisher, *, now: datetime, on_bytes_read: OnBytesRead) -> ImportReport:
    """Publish the plays of all files, and their refused rows wrapped. A file that cannot be read to its end is named in the report.

    Raises Unavailable if the log does not take them.
    """
    report = ImportReport(files_left_out=list(found.left_out), files_broken=list(found.broken))
    for file in found.files:
        counts = report.get_counts(file.reader.source, file.user_id)
        try:
            for rows in file.reader.read(RowFile(file.file, on_bytes_read), user_id=file.user_id, now=now):
                _publish(_refuse_large(rows), file, counts, publisher)
                report.notes += rows.notes
        except BrokenFile as broken:
            report.files_broken.append(broken)
        else:
            report.files_read.append(file.file.name)
    return report


def _publish(rows: HistoryRows, file: HistoryFile, counts: RowCounts, publisher: RowPublisher) -> None:
    counts.count_events(rows.events, pa.array(publisher.publish_plays(rows.events)))
    values = [wrap_refused_row(refused.reason, file.reader.source, file.user_id, refused.row) for refused in rows.refused]
    publisher.publish_refused([file.user_id.encode()] * len(values), values)
    counts.refused_by_reason.update(refused.reason for refused in rows.refused)


def _refuse_large(rows: HistoryRows) -> HistoryRows:
    """Rows that the log would not take are refused, with their size and their id."""
    events = rows.events
    sizes = sum(
        (pc.fill_null(pc.binary_length(events[field.name]), 0).to_numpy() for field in events.schema if pa.types.is_string(field.type)),
        start=np.zeros(len(events), np.int64),
    )
    is_large = sizes > _MOST_TEXT_BYTES
    if not is_large.any():
        return rows
    return HistoryRows(events.filter(pa.array(~is_large)), (*rows.refused, *_describe(events, np.flatnonzero(is_large).tolist(), sizes)))


def _describe(events: pa.Table, numbers: Sequence[int], sizes: np.ndarray) -> list[RefusedRow]:
    ids = events["event_id"].take(numbers).to_pylist()
    return [RefusedRow("too_large", {"bytes": int(sizes[number]), "event_id": one}) for number, one in zip(numbers, ids, strict=True)]
