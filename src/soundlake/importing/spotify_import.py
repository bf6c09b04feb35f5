"""Import Spotify exports: files in, a report out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa

from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.history import SOURCE, BrokenFile, ExportFile, Exports, HistoryRows, read_spotify_export
from soundlake.importing.report import ImportReport, RowCounts
from soundlake.importing.row_publisher import RowPublisher

Advance = Callable[[int], None]
"""Told how many bytes of the files were worked through, for a progress bar."""


def import_spotify_exports(exports: Exports, intake: RowPublisher, *, now: datetime, advance: Advance) -> ImportReport:
    """Publish the plays of all files, and their refused rows wrapped; a broken file is named in the report and costs itself only.

    Raises Unavailable if the log does not take them.
    """
    report = ImportReport(SOURCE, files_left_out=list(exports.left_out), files_broken=list(exports.broken))
    for file in exports.files:
        tally = report.by_listener.setdefault(file.user_id, RowCounts())
        try:
            _import_file(file, tally, intake, now)
        except BrokenFile as broken:
            report.files_broken.append(broken)
        else:
            report.files_read.append(file.name)
        advance(file.size_bytes)
    return report


def _import_file(file: ExportFile, tally: RowCounts, intake: RowPublisher, now: datetime) -> None:
    rows = read_spotify_export(file.name, file.read(), user_id=file.user_id, now=now)
    tally.count_events(rows.events, pa.array(intake.take_plays(rows.events)))
    _take_refused(rows, file.user_id, intake)
    tally.refused_by_reason.update(refused.reason for refused in rows.refused)


def _take_refused(rows: HistoryRows, user_id: str, intake: RowPublisher) -> None:
    values = [wrap_refused_row(refused.reason, SOURCE, user_id, refused.row) for refused in rows.refused]
    intake.take_refused([user_id.encode()] * len(values), values)
