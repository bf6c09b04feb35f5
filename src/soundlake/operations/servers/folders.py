"""Which folders a server can be given."""

from __future__ import annotations

from pathlib import Path

from soundlake.errors import SettingsError


def check_path(folder: Path) -> None:
    """Raises SettingsError if the path has a comma or a line break in it: Kafka and the object store would read several folders there."""
    if any(mark in str(folder) for mark in ",\n\r"):
        raise SettingsError(
            f"{folder}: a comma or a line break in the path of a home splits it in two for Kafka and the object store",
            next_step="set SOUNDLAKE_HOME to a folder without them; spaces are no harm",
        )
