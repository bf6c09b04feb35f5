"""The tables of an event-log file, and how they are created."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from soundlake.broker.embedded.sqlite_errors import BUSY_SECONDS, read_primary_code
from soundlake.errors import DataError, UsageError

APPLICATION_ID = 0x534C4F47
"""Marks an SQLite file as an event log: "SLOG"."""

LAYOUT = 1
"""Version of the tables below; a file with another version is refused."""

_PAGE_BYTES = 8192
_CHECKPOINT_PAGES = 4096  # a checkpoint every 32 MiB of write-ahead log: four times fewer than by default

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
)


def prepare_connection(db: sqlite3.Connection, path: Path) -> None:
    """Set the pragmas, and create the tables in a new file. Raises DataError if the file is not an event log."""
    db.execute("pragma synchronous = full")
    if _is_new(db, path):
        _create_tables(db, path)
    db.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    db.execute(f"pragma journal_size_limit = {2 * _CHECKPOINT_PAGES * _PAGE_BYTES}")


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty. Raises DataError if it is another application's, or an event log of another layout."""
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
            next_step="run the version that wrote it with `sink --until-drained`, then move the file away so that a new one is created",
        )
    return False


def _create_tables(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables; of several processes that try at once, one does."""
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


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and read_primary_code(error) == sqlite3.SQLITE_BUSY


@retry(retry=retry_if_exception(_is_busy), wait=wait_fixed(0.01), stop=stop_after_delay(BUSY_SECONDS), reraise=True)
def _switch_to_wal(db: sqlite3.Connection, path: Path) -> None:
    """Set the journal mode; SQLite's own busy timeout does not apply to it."""
    (mode,) = db.execute("pragma journal_mode = wal").fetchone()
    if mode != "wal":
        raise UsageError(f"{path}: SQLite cannot keep a write-ahead log there", next_step="name a file on a local disk in SOUNDLAKE_BROKER")
