"""Files of this machine: replaced whole or not at all, and locks between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_SECONDS = 0.05


@contextmanager
def replace_file(path: Path, *, is_private: bool = False, sync: bool = False) -> Iterator[Path]:
    """Give the path of a draft beside `path`; what was written there takes the place of `path` when the block ends without an error.

    A reader sees the old file or the new one, and a killed process leaves the old one. `is_private` makes the draft first, with mode
    0600; `sync` has its content on the disk before it is renamed. The folder must exist. Raises OSError.
    """
    draft = find_draft(path)
    try:
        draft.unlink(missing_ok=True)
        if is_private:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        if sync:
            _sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def find_draft(path: Path) -> Path:
    """Where `replace_file` writes first; a killed process leaves it."""
    return path.with_name(f".{path.name}.part")


def write_file(path: Path, text: str, *, is_private: bool = False, sync: bool = False) -> None:
    """Write a whole text file in UTF-8 as `replace_file` does. Raises OSError."""
    with replace_file(path, is_private=is_private, sync=sync) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def try_lock(path: Path, wait_seconds: float = 0.0) -> Iterator[bool]:
    """Take the lock if it is free within that time, for the block; yields whether it was. It ends with its process, however that ends.

    One that waits looks every 50 ms: it meets the short pauses of a service that takes the lock again and again.
    """
    lock = _make_lock(path)
    try:
        lock.acquire(timeout=wait_seconds, poll_interval=_POLL_SECONDS)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Wait for the lock and hold it for the block."""
    with _make_lock(path):
        yield


@contextmanager
def share_lock(path: Path) -> Iterator[None]:
    """Hold the lock together with others who share it, for the block; waits while somebody holds it alone or waits to. It takes 30 µs.

    Not one of the locks above. It ends with its process, however that ends.
    """
    with ExitStack() as held:
        with _hold_flock(_find_gate(path), fcntl.LOCK_EX):  # closed while somebody waits to be alone, who would wait for ever else
            held.enter_context(_hold_flock(path, fcntl.LOCK_SH))
        yield


@contextmanager
def hold_alone(path: Path) -> Iterator[None]:
    """Wait for the end of everybody who shares the lock, and hold it alone for the block."""
    with _hold_flock(_find_gate(path), fcntl.LOCK_EX), _hold_flock(path, fcntl.LOCK_EX):
        yield


def _find_gate(path: Path) -> Path:
    return path.with_name(f"{path.name}.gate")


@contextmanager
def _hold_flock(path: Path, operation: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)  # releases the lock


def _make_lock(path: Path) -> FileLock:
    """A lock of the system's own: no fallback to a lock file that would outlive its owner where the file system has no locks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, thread_local=False, fallback_to_soft=False, preserve_lock_file=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
