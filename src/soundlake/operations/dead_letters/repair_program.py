"""Repair values with a program of the user's: a line in, a line out."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence

from soundlake.errors import DataError, UsageError

Repair = Callable[[Sequence[bytes | None]], list[bytes | None]]
"""Takes values and returns what to publish instead, in the same order; None leaves a record out."""

_ERROR_CHARACTERS = 200


def keep_unchanged(values: Sequence[bytes | None]) -> list[bytes | None]:
    """The same bytes."""
    return list(values)


def repair_with_program(command: str) -> Repair:
    """Pipe values through a program, without a shell: one line for each value, an empty one to leave the record out.

    A null and a value with a line break in it cannot be written as a line and are left out. Raises UsageError if the program cannot be
    started, DataError if it fails or does not return one line for each.
    """

    def repair(values: Sequence[bytes | None]) -> list[bytes | None]:
        rows = [row for row, value in enumerate(values) if value and b"\n" not in value]
        lines = _run(command, [values[row] or b"" for row in rows]) if rows else []
        repaired: list[bytes | None] = [None] * len(values)
        for row, line in zip(rows, lines, strict=True):
            repaired[row] = line or None
        return repaired

    return repair


def _run(command: str, values: Sequence[bytes]) -> list[bytes]:
    try:
        done = subprocess.run(shlex.split(command), input=b"\n".join(values) + b"\n", capture_output=True, check=False)
    except (OSError, ValueError) as cause:
        raise UsageError(f"--repair-with {command}: cannot be started ({cause})", next_step="name a program and its options") from cause
    lines = done.stdout.removesuffix(b"\n").split(b"\n")
    if done.returncode or len(lines) != len(values):
        last_words = done.stderr.decode(errors="replace").strip()[-_ERROR_CHARACTERS:]
        raise DataError(
            f"--repair-with {command}: exit code {done.returncode}, {len(lines)} lines for {len(values)} records. {last_words}",
            next_step="the program must write one line for each record, in their order, an empty line to leave a record out",
        )
    return lines
