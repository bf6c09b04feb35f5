"""Discard what was built, so that the next build begins in a new file: DuckDB does not overwrite what it deletes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from soundlake.warehouse.build_lock import hold_build_lock
from soundlake.warehouse.build_state import BUILD
from soundlake.warehouse.snapshot import CURRENT, SNAPSHOTS, read_current_id


def has_build(folder: Path) -> bool:
    """Whether anything was built in this folder."""
    return (folder / BUILD).exists() or (folder / SNAPSHOTS / CURRENT).is_symlink()


def discard_build(folder: Path, delete_copies: Callable[[], int], wait_seconds: float = 0.0) -> int:
    """Delete the build database with its spilled rows, dbt's logs and compiled models, and the copies in the lake, which it counts.

    Snapshots stay for their readers. Raises Unavailable if a build does not end in that time: it would write its copies after they are
    deleted.
    """
    with hold_build_lock(folder, wait_seconds):
        for path in folder.glob(f"{BUILD}*"):
            path.unlink(missing_ok=True)
        for name in ("temp", "dbt"):
            shutil.rmtree(folder / name, ignore_errors=True)
        return delete_copies()


def delete_old_snapshots(folder: Path, wait_seconds: float = 0.0) -> int:
    """Delete every snapshot but the current one, and drafts; returns how many. A reader keeps the file that it has open.

    Raises Unavailable if a build does not end in that time.
    """
    with hold_build_lock(folder, wait_seconds):
        current = read_current_id(folder)
        old = [path for path in (folder / SNAPSHOTS).glob("*.duckdb") if path.name != CURRENT and path.stem != current]
        for path in [*old, *(folder / SNAPSHOTS).glob(".*.part")]:
            path.unlink(missing_ok=True)
    return len(old)
