"""SQLite's errors as this project's: what happened to which file, and what to do next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soundlake.errors import DataError, Permanent, SoundlakeError, Unavailable, UsageError

BUSY_SECONDS = 30.0
"""How long to wait for another process that holds the file's lock."""


class CommitUnsure(Permanent):
    """The disk failed during the commit: the transaction is in the file or not."""


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as this project's."""
    try:
        yield
    except sqlite3.Error as cause:
        raise translate_error(cause, path) from cause


def translate_error(error: sqlite3.Error, path: Path) -> SoundlakeError:
    """The error to raise instead of one of SQLite's."""
    primary = read_primary_code(error)
    if primary == sqlite3.SQLITE_FULL:
        return Unavailable(
            f"no space left for the event log {path}", next_step=f"free some space on the disk of {path.parent}, then run it again"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(
            f"another process has held the event log {path} for {BUSY_SECONDS:.0f} s", next_step="end that process, or try again later"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return DataError(
            f"{path} is not an event log: not an SQLite file", next_step="name another file in SOUNDLAKE_BROKER, or move this one away"
        )
    if primary == sqlite3.SQLITE_CORRUPT:
        return DataError(f"the event log {path} is damaged ({error})", next_step="restore it, or move it away so that a new one is made")
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return UsageError(
            f"the event log {path} cannot be opened for writing ({error})",
            next_step=f"make {path.parent} a folder this user may write to, or name another file in SOUNDLAKE_BROKER",
        )
    return Unavailable(
        f"the event log {path} cannot be used now ({error})", next_step=f"check the disk of {path.parent}, then run it again"
    )


def read_primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, without the extended part."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
