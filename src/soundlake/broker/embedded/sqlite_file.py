"""The SQLite file under the embedded log: opening it, and transactions that are on the disk when they return."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from soundlake.broker.embedded.sqlite_errors import BUSY_SECONDS, CommitUnsure, explain, explain_errors, read_primary_code
from soundlake.broker.embedded.sqlite_schema import prepare
from soundlake.errors import DataError, UsageError


class LogFile:
    """One open event-log file; several processes and threads may each hold it open. Every write is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises UsageError, DataError or Unavailable, each naming the file."""
        self.path = path
        self._lock = Lock()
        self._db = _connect(path)
        try:
            with explain_errors(path):
                prepare(self._db, path)
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
        """All of it or nothing, durable at the end. Raises Unavailable if nothing was written, CommitUnsure if nobody knows."""
        with self._transaction("begin immediate") as db:
            yield db

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if _identify(self.path) != self._identity:
                raise DataError(
                    f"{self.path} was moved, deleted or made anew while it was open",
                    next_step="put it back, or start this program again so that it opens the new one",
                )
            try:
                with explain_errors(self.path):
                    self._db.execute(begin)
                    yield self._db
                _commit(self._db, self.path)
            except BaseException:
                if self._db.in_transaction:
                    with suppress(sqlite3.Error):  # what went wrong first is what the user must hear
                        self._db.execute("rollback")
                raise


def _commit(db: sqlite3.Connection, path: Path) -> None:
    """A commit that finds no room or no lock wrote nothing; any other failure may have reached the disk."""
    try:
        db.execute("commit")
    except sqlite3.Error as cause:
        if read_primary_code(cause) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
            raise explain(cause, path) from cause
        raise CommitUnsure(
            f"the disk failed while {path} was written ({cause}); the last records may be in it or not",
            next_step=f"check the disk of {path.parent}; sending them again may double them",
        ) from cause


def _identify(path: Path) -> tuple[int, int] | None:
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
            f"{path.parent}, the folder of the event log, cannot be made ({cause.strerror})",
            next_step="name another file in SOUNDLAKE_BROKER, or another SOUNDLAKE_HOME",
        ) from cause
    with explain_errors(path):
        return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
