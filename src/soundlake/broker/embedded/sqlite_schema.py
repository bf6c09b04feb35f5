"""The tables of an event-log file, and how a file becomes one, once."""

from __future__ import annotations

import sqlite3
import time
import uuid
from pathlib import Path

from soundlake.broker.embedded.sqlite_errors import BUSY_SECONDS, read_primary_code
from soundlake.errors import DataError, UsageError

APPLICATION_ID = 0x534C4F47
"""Marks an SQLite file as an event log: "SLOG"."""

LAYOUT = 1
"""Number of the layout below; another one is refused, never guessed at."""

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


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the connection durable, and the tables where the file is new. Raises DataError if the file is something else."""
    db.execute("pragma synchronous = full")
    if _is_new(db, path):
        _create(db, path)
    db.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    db.execute(f"pragma journal_size_limit = {2 * _CHECKPOINT_PAGES * _PAGE_BYTES}")


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
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = db.execute("pragma journal_mode = wal").fetchone()[0]
        except sqlite3.OperationalError as cause:
            if read_primary_code(cause) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise UsageError(
                f"{path}: SQLite cannot keep a write-ahead log there", next_step="name a file on a disk of this machine in SOUNDLAKE_BROKER"
            )
        return
