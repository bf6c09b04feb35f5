"""The published state of the warehouse: a read-only copy that never changes while it is open."""

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


@dataclass(frozen=True)
class Snapshot:
    """One published build, opened for reading; times come in UTC."""

    id: str
    path: Path
    connection: duckdb.DuckDBPyConnection

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def current_id(folder: Path) -> str | None:
    """The id of the newest published build of the warehouse in this folder; None before the first."""
    try:
        return (folder / SNAPSHOTS / CURRENT).readlink().stem
    except FileNotFoundError:
        return None


def current_time(folder: Path) -> datetime | None:
    """When the newest build was published (UTC); None before the first."""
    try:
        return datetime.fromtimestamp((folder / SNAPSHOTS / CURRENT).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def is_published(folder: Path, snapshot_id: str) -> bool:
    """Whether that build is the current snapshot, and can be opened."""
    if current_id(folder) != snapshot_id:
        return False
    try:
        open_snapshot(folder).close()
    except (DataError, Unavailable):
        return False
    return True


def open_snapshot(folder: Path) -> Snapshot:
    """Open the newest published build. Raises Unavailable if there is none yet, DataError if its file is damaged."""
    for _ in range(3):  # the one that was newest may be cleared away between reading the link and opening it
        snapshot_id = current_id(folder)
        if snapshot_id is None:
            raise Unavailable(f"{folder}: no snapshot of the warehouse yet", next_step="run `soundlake transform`")
        path = folder / SNAPSHOTS / f"{snapshot_id}.duckdb"
        try:
            connection = duckdb.connect(str(path), read_only=True)
        except duckdb.IOException as cause:
            if path.exists():
                raise DataError(f"{path}: the snapshot is damaged: {cause}", next_step=_PUBLISH_AGAIN) from cause
            continue
        connection.execute("set TimeZone = 'UTC'")
        return Snapshot(snapshot_id, path, connection)
    raise Unavailable(f"{folder}: snapshot {snapshot_id} is named as current but is not there", next_step=_PUBLISH_AGAIN)
