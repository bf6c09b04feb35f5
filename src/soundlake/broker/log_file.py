"""The SQLite file under the embedded log: opening, its layout, transactions, and what its errors mean to a user."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from soundlake.errors import DataError, Permanent, SoundlakeError, Unavailable, UsageError

APPLICATION_ID = 0x534C4F47
"""Marks an SQLite file as an event log: "SLOG"."""

LAYOUT = 1
"""Number of the layout below; another one is refused, never guessed at."""

_BUSY_SECONDS = 30.0
_PAGE_BYTES = 8192
_CHECKPOINT_PAGES = 4096  # 32 MiB of write-ahead log before it is copied into the file: four times fewer copies than by default

_TABLES = (
    "create table log (id text not null)",
    """create table partitions (
        id integer primary key, topic text not null, partition integer not null,
        begin_offset integer not null default 0, end_offset integer not null default 0, unique (topic, partition))""",
    """create table batches (
        partition_id integer not null references partitions (id), base_offset integer not null,
        records integer not null, timestamp_ms integer not null,
        key_lengths blob not null, key_bytes blob not null, value_lengths blob not null, value_bytes blob not null,
        primary key (partition_id, base_offset))""",
    """create table committed (
        consumer_group text not null, topic text not null, partition integer not null, next_offset integer not null,
        primary key (consumer_group, topic, partition)) without rowid""",
)


class CommitUnsure(Permanent):
    """The disk failed in the very commit: what was written may come back after a crash, or not."""


class LogFile:
    """One open event-log file; several processes and threads may each hold it open. Every write is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises UsageError, DataError or Unavailable, each naming the file."""
        self.path = path
        self._lock = Lock()
        self._db = _connect(path)
        try:
            with explain_errors(path):
                _prepare(self._db, path)
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
                    self._db.execute("rollback")
                raise


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as cause:
        raise explain(cause, path) from cause


def explain(error: sqlite3.Error, path: Path) -> SoundlakeError:
    """What an error of SQLite means to a user, and what to do about it."""
    primary = _primary_code(error)
    if primary == sqlite3.SQLITE_FULL:
        return Unavailable(f"no space left for the event log {path}", next_step=f"free some space on the disk of {path.parent}, then go on")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(
            f"another process has held the event log {path} for {_BUSY_SECONDS:.0f} s", next_step="end that process, or try again later"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return DataError(
            f"{path} is not an event log: no SQLite file", next_step="name another file in SOUNDLAKE_BROKER, or move this one away"
        )
    if primary == sqlite3.SQLITE_CORRUPT:
        return DataError(f"the event log {path} is damaged ({error})", next_step="restore it, or move it away so that a new one is made")
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return UsageError(
            f"the event log {path} cannot be opened for writing ({error})",
            next_step=f"make {path.parent} a folder this user may write to, or name another file in SOUNDLAKE_BROKER",
        )
    return Unavailable(f"the event log {path} cannot be used now ({error})", next_step=f"check the disk of {path.parent}, then go on")


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _commit(db: sqlite3.Connection, path: Path) -> None:
    """A commit that finds no room or no lock wrote nothing; any other failure may have reached the disk."""
    try:
        db.execute("commit")
    except sqlite3.Error as cause:
        if _primary_code(cause) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
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
        return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if _is_new(db, path):
        _create(db, path)
    db.execute("pragma synchronous = full")
    db.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty. Raises DataError if it is somebody else's, or ours in another layout."""
    application_id, layout, tables = db.execute(
        "select application_id, user_version, (select count(*) from sqlite_master) from pragma_application_id, pragma_user_version"
    ).fetchone()
    if (application_id, tables) == (0, 0):
        return True
    if application_id != APPLICATION_ID:
        raise DataError(
            f"{path} is an SQLite file, but not an event log", next_step="name another file in SOUNDLAKE_BROKER, or move this one away"
        )
    if layout != LAYOUT:
        raise DataError(
            f"the event log {path} has layout {layout}; this version of Soundlake reads layout {LAYOUT}",
            next_step="use the version that wrote it until the lake has drained it, then move it away so that a new one is made",
        )
    return False


def _create(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, once, whoever of several processes comes first."""
    db.execute(f"pragma page_size = {_PAGE_BYTES}")
    _switch_to_wal(db, path)
    db.execute("begin immediate")
    if _is_new(db, path):
        for table in _TABLES:
            db.execute(table)
        db.execute("insert into log values (?)", (str(uuid.uuid4()),))
        db.execute(f"pragma application_id = {APPLICATION_ID}")
        db.execute(f"pragma user_version = {LAYOUT}")
    db.execute("commit")


def _switch_to_wal(db: sqlite3.Connection, path: Path) -> None:
    """SQLite does not wait for others here, so we do."""
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            mode = db.execute("pragma journal_mode = wal").fetchone()[0]
        except sqlite3.OperationalError as cause:
            if _primary_code(cause) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise UsageError(
                f"{path}: SQLite cannot keep a write-ahead log there", next_step="name a file on a disk of this machine in SOUNDLAKE_BROKER"
            )
        return
