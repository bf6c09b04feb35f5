"""A command of the user's that turns records into better ones, a line each."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence

from soundlake.errors import DataError, UsageError

Repair = Callable[[Sequence[bytes | None]], list[bytes | None]]
"""Turns values into what shall be published instead; None where it cannot."""


def keep_unchanged(values: Sequence[bytes | None]) -> list[bytes | None]:
    """The same bytes again."""
    return list(values)


def repair_with_program(command: str) -> Repair:
    """Values, a line each, through a command without a shell: a line comes back for each, an empty one to leave it out.

    A value that is null or has a line break in it cannot be a line, and is left out. Raises UsageError if there is no such command,
    DataError if it fails or does not give back a line for each.
    """

    def mend(values: Sequence[bytes | None]) -> list[bytes | None]:
        rows = [row for row, value in enumerate(values) if value and b"\n" not in value]
        lines = _run(command, [values[row] or b"" for row in rows]) if rows else []
        mended: list[bytes | None] = [None] * len(values)
        for row, line in zip(rows, lines, strict=True):
            mended[row] = line or None
        return mended

    return mend


def _run(command: str, values: Sequence[bytes]) -> list[bytes]:
    try:
        done = subprocess.run(shlex.split(command), input=b"\n".join(values) + b"\n", capture_output=True, check=False)
    except (OSError, ValueError) as cause:
        raise UsageError(f"--mend {command}: it cannot be started ({cause})", next_step="name a program and its options") from cause
    lines = done.stdout.removesuffix(b"\n").split(b"\n")
    if done.returncode or len(lines) != len(values):
        said = done.stderr.decode(errors="replace").strip()[-200:]
        raise DataError(
            f"--mend {command}: exit code {done.returncode}, {len(lines)} lines for {len(values)} records. {said}",
            next_step="it must give back one line for each, in their order, an empty one to leave a record out",
        )
    return lines
