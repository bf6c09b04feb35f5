"""What everybody on this machine can read of processes: their command lines."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil

__all__ = ["read_command_lines"]


def read_command_lines(processes: Iterable[psutil.Process]) -> list[str]:
    """The command lines of these and of all that they started; what ends meanwhile is left out."""
    lines: dict[int, str] = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    lines[one.pid] = " ".join(one.cmdline())
    return list(lines.values())
