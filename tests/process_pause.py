"""Pausing a process with SIGSTOP, in force when the call returns."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_PAUSE_SECONDS = 10.0
_POLL_SECONDS = 0.005


def pause_process(pid: int) -> None:
    """Send SIGSTOP and return when every thread of the process is stopped.

    kill(2) returns before that: a Java broker on a busy machine answered for some milliseconds after it.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _PAUSE_SECONDS
    while not all(_is_stopped(thread) for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline, f"process {pid} has not stopped {_PAUSE_SECONDS:.0f} s after SIGSTOP"
        time.sleep(_POLL_SECONDS)


def resume_process(pid: int) -> None:
    """Send SIGCONT."""
    os.kill(pid, signal.SIGCONT)


def _is_stopped(thread: Path) -> bool:
    """Whether a thread is stopped (T in /proc/PID/task/TID/stat, t under a debugger) or has ended (Z, X)."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
