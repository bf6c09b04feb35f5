"""Publish a finished build: a snapshot file, and a link to it that is replaced in one step."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from soundlake.lake.store_errors import describe_store_error
from soundlake.local_files import replace_file
from soundlake.warehouse.snapshot import CURRENT, SNAPSHOTS

KEPT = 3
READ_ONLY = 0o444
"""The mode of a published snapshot: a DuckDB of another user or program cannot open it for writing, which would lock readers out."""

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES})


def publish_snapshot(build_file: Path, folder: Path, snapshot_id: str) -> Path:
    """Copy the closed build file to snapshots/<id>.duckdb, synced to disk, and replace the link `current.duckdb`; returns the copy's path.

    Readers see the previous snapshot until the link is replaced. A reader that has a snapshot open keeps it. The copy has mode 0444.
    Raises Unavailable if the disk is full or does not allow writing.
    """
    snapshots = folder / SNAPSHOTS
    target = snapshots / f"{snapshot_id}.duckdb"
    with translate_disk_errors(snapshots):
        snapshots.mkdir(parents=True, exist_ok=True)
        with replace_file(target, sync=True) as draft:
            shutil.copyfile(build_file, draft)
            draft.chmod(READ_ONLY)
        with replace_file(snapshots / CURRENT) as draft:
            draft.symlink_to(target.name)
        _sync_folder(snapshots)
        _delete_old_snapshots(snapshots, target)
    return target


@contextmanager
def translate_disk_errors(folder: Path) -> Iterator[None]:
    """Raise the error of a full or read-only disk below `folder`, of the system or of DuckDB, as the lake reports one: Unavailable."""
    try:
        yield
    except OSError as cause:
        if cause.errno not in _DISK_ERRORS:
            raise
        raise describe_store_error(str(folder), cause) from cause
    except duckdb.IOException as cause:
        if os.strerror(errno.ENOSPC) not in str(cause):
            raise
        raise describe_store_error(str(folder), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from cause


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
