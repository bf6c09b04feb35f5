"""Where a live run stopped, in a small file, so that the next one goes on there."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from soundlake.errors import DataError
from soundlake.generator.model.config import GeneratorConfig


class LiveState:
    """The moment up to which a world's live events are published; one file a world."""

    def __init__(self, folder: Path, config: GeneratorConfig) -> None:
        catalog = "" if config.catalog is None else f"-{config.catalog.stem}"
        self._path = folder / f"live-{config.seed}-{config.listeners}-{config.tracks}{catalog}.json"

    def read(self) -> datetime | None:
        """The moment, or None if this world was never live. Raises DataError if the file cannot be understood."""
        try:
            moment = datetime.fromisoformat(json.loads(self._path.read_text(encoding="utf-8"))["until"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as cause:
            raise DataError(f"{self._path}: not a live run's state", next_step="remove it to begin live events from now") from cause
        return moment

    def write(self, until: datetime) -> None:
        """Remember the moment; a crash leaves the old one or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.part")
        part.write_text(json.dumps({"until": until.isoformat()}) + "\n", encoding="utf-8")
        part.replace(self._path)
