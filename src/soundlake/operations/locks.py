"""One at a time on one machine: locks that end with their process, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SINK_LOCK = "sink.lock"
"""Held by the process that moves the log of this home into bronze."""
IMPORT_LOCK = "import.lock"
"""Held by an import from its first look at bronze to its last record."""
DLQ_LOCK = "dlq.lock"
"""Held by a replay of rejected records."""
STREAM_LOCK = "stream-{}.lock"
"""Held by the process that runs the streaming query of that name."""


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Take the lock if it is free; whether it was is what `with` gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
