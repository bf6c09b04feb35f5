"""Files of local servers: folders that they can be given, and secrets, made once and readable by their owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

from soundlake.errors import SettingsError, Unavailable
from soundlake.local_files import write_file


def check_folder(folder: Path) -> None:
    """Raises SettingsError if the path has a comma or a line break in it: Kafka and SeaweedFS read that as several folders."""
    if any(mark in str(folder) for mark in ",\n\r"):
        raise SettingsError(
            f"{folder}: Kafka and the object store read a comma or a line break in a path as the end of it",
            next_step="set SOUNDLAKE_HOME to a folder without them; spaces are allowed",
        )


def read_or_make_key(path: Path) -> str:
    """The secret in that file; the first time a new one of 32 random bytes."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text(encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Replace a file of mode 0600 in one step; a missing folder is made with mode 0700. Raises Unavailable if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, text, is_private=True)
    except OSError as cause:
        raise Unavailable(
            f"{path} cannot be written: {cause.strerror}",
            next_step="check that this user may write there, or name another folder in SOUNDLAKE_HOME",
        ) from cause
