"""Import listening history: read files, publish the rows that are new, wait until bronze holds them, report on every row."""

from soundlake.importing.events_import import import_events
from soundlake.importing.history_import import import_history
from soundlake.importing.log_drain import LogDrain
from soundlake.importing.report import ImportReport, RowCounts
from soundlake.importing.row_publisher import RowPublisher
from soundlake.importing.service import IMPORT_LOCK, Importer
from soundlake.importing.stored_rows import StoredRows

__all__ = [
    "IMPORT_LOCK", "ImportReport", "Importer", "LogDrain", "RowCounts", "RowPublisher", "StoredRows", "import_events",
    "import_history",
]  # fmt: skip
