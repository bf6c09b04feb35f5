"""Logs of services: rotation while their writers hold them open, and the last error that a service printed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from soundlake.local_files import replace_file

_ERROR = "error: "
_READ_BYTES = 64 * 1024
_SUMMARY_CHARACTERS = 400


def rotate_logs(folder: Path, largest_bytes: int) -> Iterator[str]:
    """Move the content of each larger log to `<name>.log.1`; yields a line for each log that cannot be rotated.

    A log is copied and truncated, not renamed: its writer holds it open for appending and goes on at the new end. What is written between
    the copy and the truncation is lost.
    """
    for path in sorted(folder.glob("*.log")):
        try:
            if path.stat().st_size > largest_bytes:
                kept = path.with_suffix(".log.1")
                kept.unlink(missing_ok=True)  # before the copy: on a full disk it makes the room
                with replace_file(kept) as draft:
                    shutil.copyfile(path, draft)
                    os.truncate(path, 0)
        except OSError as error:
            yield f"{path} cannot be rotated: {error}"


def read_from(path: Path, offset: int) -> str:
    """A log from an offset on, at most its last 64 KiB; from its beginning if it was rotated since."""
    with suppress(OSError), path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(offset if offset <= size else 0, size - _READ_BYTES))
        return log.read().decode("utf-8", errors="replace")
    return ""


def find_last_error(output: str) -> str:
    """The last error message of a command and its next step, without what was logged before; the whole output if it has none."""
    lines = output.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(_ERROR)]
    return "\n".join(lines[starts[-1] :] if starts else lines).removeprefix(_ERROR)


def summarize_output(output: str) -> str:
    """The last error on one line, else the last line (the message of a line of JSON); empty if there is no output."""
    found = find_last_error(output)
    if found == output.strip():  # no error in it
        found = _read_message(found.rpartition("\n")[2])
    return " ".join(found.split())[:_SUMMARY_CHARACTERS]


def _read_message(line: str) -> str:
    with suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict) and "message" in record:
            return str(record["message"])
    return line
