"""One build at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soundlake.errors import Unavailable
from soundlake.local_files import try_lock


@contextmanager
def hold_build_lock(folder: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock of the warehouse in this folder for the block.

    Raises Unavailable, naming the process, if another one builds and does not end in that time.
    """
    path = folder / "build.lock"
    with try_lock(path, wait_seconds) as is_held:
        if not is_held:
            raise Unavailable(
                f"{folder}: another build is running (process {path.read_text().strip() or 'unknown'})",
                next_step="wait until it ends; one process at a time may build a warehouse",
            )
        path.write_text(str(os.getpid()))
        yield
