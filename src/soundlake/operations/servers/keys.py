"""Secrets of local servers: made once, kept in files that only their owner reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from soundlake.errors import Unavailable


def read_or_make_key(path: Path) -> str:
    """The secret in that file; a new one of 32 random bytes the first time."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text(encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step, in a folder of mode 0700 if there is none yet. Raises Unavailable if it cannot be written."""
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as cause:
        raise Unavailable(
            f"{path} cannot be written: {cause.strerror}", next_step="see that this user may write there, or name another SOUNDLAKE_HOME"
        ) from cause
