"""What services print: logs that stay small although they are written to for weeks, and what was said last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ERROR = "error: "
_READ_BYTES = 64 * 1024
_TOLD_CHARACTERS = 400


def bound_logs(folder: Path, largest_bytes: int) -> Iterator[str]:
    """Of each log that has grown larger what it holds becomes `<name>.log.1`, and it begins anew; a line for each that could not."""
    for path in sorted(folder.glob("*.log")):
        try:
            if path.stat().st_size > largest_bytes:
                _begin_anew(path)
        except OSError as error:
            yield f"{path} cannot be made smaller: {error}"


def _begin_anew(path: Path) -> None:
    """Copied and cut, not renamed: whoever writes to it holds it open, and goes on at its new end, since all open it for appending."""
    kept, draft = path.with_suffix(".log.1"), path.with_suffix(".log.part")
    kept.unlink(missing_ok=True)  # before the copy: on a full disk this is the room for it
    try:
        with path.open("rb") as source, draft.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            os.truncate(path, 0)
        draft.replace(kept)
    finally:
        draft.unlink(missing_ok=True)


def read_from(path: Path, begun: int) -> str:
    """The end of a log, without what stood there before; a log that has begun anew since is read from its beginning."""
    with suppress(OSError), path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(begun if begun <= size else 0, size - _READ_BYTES))
        return log.read().decode("utf-8", errors="replace")
    return ""


def find_last_error(said: str) -> str:
    """The last error that a command told and its next step, without what was logged before; everything if it told none."""
    lines = said.strip().splitlines()
    begins = [place for place, line in enumerate(lines) if line.startswith(_ERROR)]
    return "\n".join(lines[begins[-1] :] if begins else lines).removeprefix(_ERROR)


def find_last_words(said: str) -> str | None:
    """The same on one line; of a command that told no error its last line, also where it logs JSON; None if it said nothing."""
    lines = said.strip().splitlines() or [""]
    has_error = any(line.startswith(_ERROR) for line in lines)
    found = find_last_error(said) if has_error else _read_message(lines[-1])
    return " ".join(found.split())[:_TOLD_CHARACTERS] or None


def _read_message(line: str) -> str:
    with suppress(ValueError):
        told = json.loads(line)
        if isinstance(told, dict) and "message" in told:
            return str(told["message"])
    return line
