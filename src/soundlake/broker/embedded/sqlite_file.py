"""The SQLite file of the embedded log: how it is opened, and transactions that are synced to disk when they return."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from soundlake.broker.embedded.sqlite_errors import BUSY_SECONDS, CommitUnsure, read_primary_code, translate_error, translate_errors
from soundlake.broker.embedded.sqlite_schema import prepare_connection
from soundlake.errors import DataError, Unavailable, UsageError


class LogFile:
    """An open event-log file. Several processes and threads may have it open; every write is synced to disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises UsageError, DataError or Unavailable, each naming the file."""
        self.path = path
        self._lock = Lock()
        self._db = _connect(path)
        try:
            with translate_errors(path):
                prepare_connection(self._db, path)
                self.log_id: str = self._db.execute("select id from log").fetchone()[0]
            self._identity = _identify(path)
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view of the file."""
        with self._transaction("begin") as db:
            yield db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction, durable at the end. Raises Unavailable if nothing was written, CommitUnsure if it may or may not be."""
        with self._transaction("begin immediate") as db:
            yield db

    def purge(self) -> None:
        """Write the file again, so that neither it nor the write-ahead log holds what was replaced or deleted.

        Raises Unavailable if another process reads an old state, or holds the file, for 30 s.
        """
        with self._lock, translate_errors(self.path):
            self._db.execute("pragma secure_delete = on")
            self._db.execute("vacuum")
            is_busy, *_ = self._db.execute("pragma wal_checkpoint(truncate)").fetchone()
            if is_busy:
                raise Unavailable(f"{self.path}: another process reads an old state of the log", next_step="try again")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if _identify(self.path) != self._identity:
                raise DataError(
                    f"{self.path} was moved, deleted or replaced while it was open",
                    next_step="move it back, or restart this program so that it opens the new one",
                )
            try:
                with translate_errors(self.path):
                    self._db.execute(begin)
                    yield self._db
                _commit(self._db, self.path)
            except BaseException:
                if self._db.in_transaction:
                    with suppress(sqlite3.Error):  # the first error is the one to report
                        self._db.execute("rollback")
                raise


def _commit(db: sqlite3.Connection, path: Path) -> None:
    """Commit. SQLITE_FULL and SQLITE_BUSY mean that nothing was written; after any other error it may have been."""
    try:
        db.execute("commit")
    except sqlite3.Error as cause:
        if read_primary_code(cause) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
            raise translate_error(cause, path) from cause
        raise CommitUnsure(
            f"the disk failed while {path} was written ({cause}); the records of this transaction may be in it or not",
            next_step=f"check the disk of {path.parent}; sending them again may duplicate them",
        ) from cause


def _identify(path: Path) -> tuple[int, int] | None:
    """Device and inode, to notice that the path is another file by now; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise UsageError(
            f"{path.parent}, the folder of the event log, cannot be created ({cause.strerror})",
            next_step="name another file in SOUNDLAKE_BROKER, or another SOUNDLAKE_HOME",
        ) from cause
    with translate_errors(path):
        return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
