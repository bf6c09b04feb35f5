"""Import Spotify exports."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.history import SOURCE, BrokenFile, ExportFile, Exports, HistoryRows, read_spotify_export
from soundlake.importing.report import ImportReport, OnBytesRead, RowCounts
from soundlake.importing.row_publisher import RowPublisher


def import_spotify_exports(exports: Exports, publisher: RowPublisher, *, now: datetime, on_bytes_read: OnBytesRead) -> ImportReport:
    """Publish the plays of all files, and their refused rows wrapped. Of a broken file no row is imported, and the report names it.

    Raises Unavailable if the log does not take them.
    """
    report = ImportReport(SOURCE, files_left_out=list(exports.left_out), files_broken=list(exports.broken))
    for file in exports.files:
        counts = report.by_listener.setdefault(file.user_id, RowCounts())
        try:
            _import_file(file, counts, publisher, now)
        except BrokenFile as broken:
            report.files_broken.append(broken)
        else:
            report.files_read.append(file.name)
        on_bytes_read(file.size_bytes)
    return report


def _import_file(file: ExportFile, counts: RowCounts, publisher: RowPublisher, now: datetime) -> None:
    rows = read_spotify_export(file.name, file.read(), user_id=file.user_id, now=now)
    counts.count_events(rows.events, pa.array(publisher.publish_plays(rows.events)))
    _publish_refused(rows, file.user_id, publisher)
    counts.refused_by_reason.update(refused.reason for refused in rows.refused)


def _publish_refused(rows: HistoryRows, user_id: str, publisher: RowPublisher) -> None:
    values = [wrap_refused_row(refused.reason, SOURCE, user_id, refused.row) for refused in rows.refused]
    publisher.publish_refused([user_id.encode()] * len(values), values)
