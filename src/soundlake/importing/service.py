"""One import from start to report: drain the log, publish what is new, drain the log again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from soundlake.broker import Clock, Publisher, read_utc_now
from soundlake.errors import DataError, Unavailable
from soundlake.history import READERS, HistoryFiles, find_event_files, find_history
from soundlake.importing.events_import import import_events
from soundlake.importing.history_import import import_history
from soundlake.importing.log_drain import LogDrain
from soundlake.importing.report import ImportReport, OnBytesRead
from soundlake.importing.row_publisher import RowPublisher
from soundlake.importing.stored_rows import StoredRows
from soundlake.lake import BronzeTables, Forgotten
from soundlake.local_files import try_lock
from soundlake.progress import Reporter

IMPORT_LOCK = "import.lock"
"""A file in the home: an import holds its lock from the first read of bronze to its last record."""

ReadFiles = Callable[[RowPublisher, OnBytesRead], ImportReport]


class Importer:
    """Imports into one deployment, one import at a time (`lock`). When a method returns, bronze holds every stored row of the report."""

    def __init__(
        self, tables: BronzeTables, publisher: Publisher, drain: LogDrain, *, reporter: Reporter, lock: Path, clock: Clock = read_utc_now
    ) -> None:
        self._tables = tables
        self._publisher = publisher
        self._drain = drain
        self._reporter = reporter
        self._lock = lock
        self._clock = clock

    def import_history(self, paths: Sequence[Path], user: str | None, *, source: str | None = None) -> ImportReport:
        """Import the history in folders, zips and files; of one source only, or of any that has a reader, and then files of events too.

        Raises the errors of `history.find_history`, and DataError if there is no such file.
        """
        readers = [reader for reader in READERS if source in (None, reader.source)]
        with closing(find_history(paths, user, readers)) as found:
            events = found.event_files if source is None else ()
            if not events:
                found.check_found(readers)
            report = self._import_found(found) if found.files or found.broken else ImportReport(files_left_out=[*found.left_out])
        if events:
            report.files_left_out = [one for one in report.files_left_out if one.event_file is None]
            report.add(self.import_events(events))
        return report

    def _import_found(self, found: HistoryFiles) -> ImportReport:
        def read(publisher: RowPublisher, on_bytes_read: OnBytesRead) -> ImportReport:
            return import_history(found, publisher, now=self._clock(), on_bytes_read=on_bytes_read)

        return self._import(found.listeners, found.size_bytes, read)

    def import_events(self, paths: Sequence[Path]) -> ImportReport:
        """Import files, and folders of files, of events in the contract's fields. `history.find_event_files` raises its errors."""
        files = find_event_files(paths)

        def read(publisher: RowPublisher, on_bytes_read: OnBytesRead) -> ImportReport:
            return import_events(files, publisher, now=self._clock(), on_bytes_read=on_bytes_read)

        return self._import(None, sum(file.size_bytes for file in files.files), read)

    def _import(self, listeners: Sequence[str] | None, size: int, read: ReadFiles) -> ImportReport:
        with self._hold_lock():
            forgotten = self._check_forgotten(listeners or ())
            self._run_drain("store what the log holds")
            publisher = RowPublisher(self._publisher, StoredRows(self._tables, listeners), forgotten)
            self._reporter.begin("read and publish", size)
            with self._drain.in_background():
                report = read(publisher, _BytesCounter(self._reporter))
            self._reporter.end(f"{report.total.rows_read:,} rows")
            self._run_drain("store what was published")
        return report

    def _check_forgotten(self, listeners: Sequence[str]) -> Forgotten:
        """Who was forgotten. Raises DataError if files are of such a listener."""
        with self._tables.begin_write() as forgotten:
            pass  # an erasure that begins now waits for the end of this import
        for listener in listeners:
            if forgotten.hashes and forgotten.covers(listener):
                raise DataError(
                    f"everything of the listener {listener} was erased, and nothing of them is stored",
                    next_step=f"if they want to be stored again: `soundlake forget --allow {listener}`, then import",
                )
        return forgotten

    def _run_drain(self, step: str) -> None:
        self._reporter.begin(step)
        self._drain.run()
        self._reporter.end()

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        with try_lock(self._lock) as is_free:
            if not is_free:
                raise Unavailable(f"another import is running (it holds {self._lock})", next_step="wait for its end, then import again")
            yield


class _BytesCounter:
    """Adds up the bytes read, since a reporter is called with the sum."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._done = 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._reporter.advance(self._done)
