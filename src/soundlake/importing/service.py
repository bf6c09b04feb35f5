"""One import from the first look to the report: what the log holds is stored, then what is new is published, then that is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from soundlake.broker import Clock, Publisher, read_utc_now
from soundlake.errors import Unavailable
from soundlake.history import check_event_files, find_exports
from soundlake.importing.events_import import import_events
from soundlake.importing.log_drain import LogDrain
from soundlake.importing.report import ImportReport
from soundlake.importing.row_publisher import RowPublisher
from soundlake.importing.spotify_import import Advance, import_spotify_exports
from soundlake.importing.stored_rows import StoredRows
from soundlake.lake import Lake
from soundlake.local_files import try_lock
from soundlake.progress import Reporter

IMPORT_LOCK = "import.lock"
"""A file in the home: an import holds its lock from the first read of bronze to its last record."""

Read = Callable[[RowPublisher, Advance], ImportReport]


class Importer:
    """Imports into one deployment, one import at a time (`lock`); when it returns, every stored row of the report is in bronze."""

    def __init__(
        self, lake: Lake, publisher: Publisher, drain: LogDrain, *, reporter: Reporter, lock: Path, clock: Clock = read_utc_now
    ) -> None:
        self._lake = lake
        self._publisher = publisher
        self._drain = drain
        self._reporter = reporter
        self._lock = lock
        self._clock = clock

    def import_spotify_exports(self, paths: Sequence[Path], user: str | None) -> ImportReport:
        """Import folders and zips of Spotify; see `history.find_exports` for whose they are, and its errors."""
        exports = find_exports(paths, user)
        size = sum(file.size_bytes for file in exports.files)
        return self._import(
            exports.listeners, size, lambda intake, advance: import_spotify_exports(exports, intake, now=self._clock(), advance=advance)
        )

    def import_events(self, paths: Sequence[Path]) -> ImportReport:
        """Import files of events in the contract's fields; raises UsageError for a file that is none."""
        files = check_event_files(paths)
        size = sum(path.stat().st_size for path in files)
        return self._import(None, size, lambda intake, advance: import_events(files, intake, now=self._clock(), advance=advance))

    def _import(self, listeners: Sequence[str] | None, size: int, read: Read) -> ImportReport:
        with self._only_one():
            self._run_drain("store what the log holds")
            intake = RowPublisher(self._publisher, StoredRows(self._lake, listeners))
            self._reporter.begin("read and publish", size)
            with self._drain.beside():
                report = read(intake, _Meter(self._reporter))
            self._reporter.end(f"{report.total.rows_read:,} rows")
            self._run_drain("store what was published")
        return report

    def _run_drain(self, step: str) -> None:
        self._reporter.begin(step)
        self._drain.run()
        self._reporter.end()

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        with try_lock(self._lock) as free:
            if not free:
                raise Unavailable(f"another import is running ({self._lock} is taken)", next_step="wait for its end, then import again")
            yield


class _Meter:
    """Adds up what was done, for a reporter that wants the sum."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._done = 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._reporter.advance(self._done)
