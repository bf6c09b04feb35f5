"""Run a command that ends with its parent: leash.py PARENT_PID COMMAND… . A script of its own, so that it starts in milliseconds."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the command; where the system can, it is asked to end as soon as the parent is gone, however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)  # it went before the leash was on
    os.execvp(command[0], command)  # noqa: S606  # that is what it is for: one process, no shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
