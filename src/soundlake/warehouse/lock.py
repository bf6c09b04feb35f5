"""One build at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soundlake.errors import Unavailable


@contextmanager
def hold_build_lock(folder: Path) -> Iterator[None]:
    """Own the warehouse in this folder. Raises Unavailable, naming the process, if another one builds."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            lock.seek(0)
            raise Unavailable(
                f"{folder}: another build is running (process {lock.read().strip() or 'unknown'})",
                next_step="wait until it ends; one process at a time may build a warehouse",
            ) from cause
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
