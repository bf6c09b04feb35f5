"""Publish a finished build: a snapshot file, and a link to it that is replaced in one step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from soundlake.local_files import replace_file
from soundlake.warehouse.snapshot import CURRENT, SNAPSHOTS

KEPT = 3


def publish_snapshot(build_file: Path, folder: Path, snapshot_id: str) -> Path:
    """Copy the closed build file to snapshots/<id>.duckdb, synced to disk, and replace the link `current.duckdb`; returns the copy's path.

    Readers see the previous snapshot until the link is replaced. A reader that has a snapshot open keeps it.
    """
    snapshots = folder / SNAPSHOTS
    snapshots.mkdir(parents=True, exist_ok=True)
    target = snapshots / f"{snapshot_id}.duckdb"
    with replace_file(target, sync=True) as draft:
        shutil.copyfile(build_file, draft)
    with replace_file(snapshots / CURRENT) as draft:
        draft.symlink_to(target.name)
    _sync_folder(snapshots)
    _delete_old_snapshots(snapshots, target)
    return target


def _delete_old_snapshots(snapshots: Path, current: Path) -> None:
    """Keep the newest three by name (ids sort by time) and the current one; delete drafts that a killed process left."""
    published = sorted(path for path in snapshots.glob("*.duckdb") if path.name != CURRENT)
    for path in [*published[:-KEPT], *snapshots.glob(".*.part")]:
        if path != current:
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
