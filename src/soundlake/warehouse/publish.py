"""Put a finished build before the readers in one step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from soundlake.warehouse.snapshot import CURRENT, SNAPSHOTS

KEPT = 3


def publish_snapshot(build_file: Path, folder: Path, snapshot_id: str) -> Path:
    """Copy the closed build file to snapshots/<id>.duckdb, durably, and turn the link `current.duckdb` to it.

    Readers see the one before until the rename, and keep what they have open after it.
    """
    snapshots = folder / SNAPSHOTS
    snapshots.mkdir(parents=True, exist_ok=True)
    target = snapshots / f"{snapshot_id}.duckdb"
    partial = snapshots / f".{snapshot_id}.partial"
    with build_file.open("rb") as source, partial.open("wb") as copy:
        shutil.copyfileobj(source, copy, length=16 * 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())
    partial.rename(target)
    link = snapshots / f".{CURRENT}.partial"
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    link.rename(snapshots / CURRENT)
    _sync_folder(snapshots)
    _clear_old(snapshots, target)
    return target


def _clear_old(snapshots: Path, current: Path) -> None:
    """Keep the last few, by name (ids sort by time), and never the current one's neighbours in use: an open file outlives its name."""
    published = sorted(path for path in snapshots.glob("*.duckdb") if path.name != CURRENT)
    for path in [*published[:-KEPT], *snapshots.glob(".*.partial")]:
        if path != current:
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
