"""What SQLite's errors mean to a user of the event log, and what to do about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soundlake.errors import DataError, Permanent, SoundlakeError, Unavailable, UsageError

BUSY_SECONDS = 30.0
"""How long to wait for another process that writes the same file."""


class CommitUnsure(Permanent):
    """The disk failed in the very commit: what was written may come back after a crash, or not."""


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as cause:
        raise explain(cause, path) from cause


def explain(error: sqlite3.Error, path: Path) -> SoundlakeError:
    """What an error of SQLite means to a user, and what to do about it."""
    primary = read_primary_code(error)
    if primary == sqlite3.SQLITE_FULL:
        return Unavailable(f"no space left for the event log {path}", next_step=f"free some space on the disk of {path.parent}, then go on")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(
            f"another process has held the event log {path} for {BUSY_SECONDS:.0f} s", next_step="end that process, or try again later"
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


def read_primary_code(error: sqlite3.Error) -> int:
    """The kind of error, without SQLite's finer distinctions."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
