"""Snapshots: published, read-only copies of the warehouse. A snapshot never changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from soundlake.errors import DataError, Unavailable

SNAPSHOTS = "snapshots"
CURRENT = "current.duckdb"
_PUBLISH_AGAIN = "run `soundlake transform`: it publishes the last build again"
_OPEN_READ_ONLY = f"end that process (`duckdb -readonly FILE` locks nobody out), or {_PUBLISH_AGAIN}"


@dataclass(frozen=True)
class Snapshot:
    """One published build, open for reading, with times in UTC."""

    id: str
    path: Path
    connection: duckdb.DuckDBPyConnection

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_current_id(folder: Path) -> str | None:
    """The id of the newest snapshot in this folder; None before the first."""
    try:
        return (folder / SNAPSHOTS / CURRENT).readlink().stem
    except FileNotFoundError:
        return None


def read_published_at(folder: Path) -> datetime | None:
    """When the newest snapshot was published (UTC); None before the first."""
    try:
        return datetime.fromtimestamp((folder / SNAPSHOTS / CURRENT).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def is_published(folder: Path, snapshot_id: str) -> bool:
    """Whether this snapshot is the current one and can be opened."""
    if read_current_id(folder) != snapshot_id:
        return False
    try:
        open_snapshot(folder).close()
    except (DataError, Unavailable):
        return False
    return True


def open_snapshot(folder: Path) -> Snapshot:
    """Open the newest snapshot.

    Raises Unavailable if there is none yet or another process has it open for writing, DataError if its file is damaged.
    """
    for _ in range(3):  # a publish may delete the file between reading the link and opening it
        snapshot_id = read_current_id(folder)
        if snapshot_id is None:
            raise Unavailable(f"{folder}: no snapshot of the warehouse yet", next_step="run `soundlake transform`")
        path = folder / SNAPSHOTS / f"{snapshot_id}.duckdb"
        try:
            connection = duckdb.connect(str(path), read_only=True)
        except duckdb.IOException as cause:
            if path.exists():
                raise _explain(path, cause) from cause
            continue
        connection.execute("set TimeZone = 'UTC'")
        return Snapshot(snapshot_id, path, connection)
    raise Unavailable(f"{folder}: snapshot {snapshot_id} is current but its file is missing", next_step=_PUBLISH_AGAIN)


def _explain(path: Path, cause: duckdb.IOException) -> Unavailable | DataError:
    """The error for a file that is there and does not open: locked by a writer, or damaged."""
    if "could not set lock" in str(cause).casefold():
        return Unavailable(f"{path}: another process has the snapshot open for writing: {cause}", next_step=_OPEN_READ_ONLY)
    return DataError(f"{path}: the snapshot is damaged: {cause}", next_step=_PUBLISH_AGAIN)
