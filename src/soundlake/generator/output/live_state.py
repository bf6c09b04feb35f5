"""The position of a live run in a small file, from which the next run resumes."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from soundlake.errors import DataError
from soundlake.generator.model.config import GeneratorConfig
from soundlake.local_files import write_file


class LiveState:
    """The time up to which a world's live events are published; one file per world."""

    def __init__(self, folder: Path, config: GeneratorConfig) -> None:
        catalog = "" if config.catalog is None else f"-{config.catalog.stem}"
        self._path = folder / f"live-{config.seed}-{config.listeners}-{config.tracks}{catalog}.json"

    def read(self) -> datetime | None:
        """The time, or None if this world was never live. Raises DataError for an invalid file."""
        try:
            moment = datetime.fromisoformat(json.loads(self._path.read_text(encoding="utf-8"))["until"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as cause:
            raise DataError(
                f"{self._path}: not the state of a live run", next_step="remove the file to start live events from now"
            ) from cause
        return moment

    def write(self, until: datetime) -> None:
        """Store the time; after a crash the file has the old one or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._path, json.dumps({"until": until.isoformat()}) + "\n")
