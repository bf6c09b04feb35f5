"""Start a process that ends with its parent, end processes with all their children, and measure them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

_LEASH = str(Path(__file__).with_name("exit_with_parent.py"))
_STOP_SECONDS = 40.0


def spawn(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process, in a session of its own, out of reach of Ctrl-C. Call it in the main thread."""
    leash = (sys.executable, "-I", "-S", _LEASH, str(os.getpid()))
    return subprocess.Popen(
        (*leash, *command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def kill_group(leader: int) -> None:
    """SIGKILL to what is left of the process group that this process leads; there may be nothing."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def end_processes(processes: Sequence[psutil.Process], timeout_seconds: float = _STOP_SECONDS) -> None:
    """SIGTERM to each, the last one first; after the timeout SIGKILL, also to what is left of their process groups."""
    for process in reversed(processes):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=timeout_seconds)
    for process in processes:
        kill_group(process.pid)
    psutil.wait_procs(alive, timeout=timeout_seconds)


def measure_memory(process: psutil.Process) -> int:
    """Bytes of memory of a process and its children."""
    return int(_sum_over_tree(process, lambda one: one.memory_info().rss))


def measure_cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and its children, ended children included."""
    return _sum_over_tree(process, lambda one: sum(one.cpu_times()[:4]))


def _sum_over_tree(process: psutil.Process, measure: Callable[[psutil.Process], float]) -> float:
    total = 0.0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += measure(one)
    return total
