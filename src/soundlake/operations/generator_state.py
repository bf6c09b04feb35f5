"""What a demo remembers between runs, in one small file beside its data: a second run goes on, it does not begin again."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from soundlake.errors import DataError, UsageError
from soundlake.generator import DEMO_CONFIG, GeneratorConfig
from soundlake.settings import Settings

FILE = "demo.json"
NEIGHBOURS = GeneratorConfig(listeners=300, days=30, seed=DEMO_CONFIG.seed, tracks=4_000)
"""The company of a person: enough to have neighbours in every corner of their music, built in seconds."""


@dataclass(frozen=True)
class GeneratorOptions:
    """What the user asked for; None: as it was, or the default."""

    export: Path | None = None
    user: str = "me"
    alone: bool = False
    listeners: int | None = None
    days: int | None = None
    seed: int | None = None

    def place(self, settings: Settings) -> Settings:
        """The settings of this demo: an export gets a folder of its own below home."""
        home = settings.home_folder
        if self.export is not None:
            home /= f"export-{re.sub(r'[^A-Za-z0-9_-]+', '-', self.user).strip('-') or 'listener'}"
        return settings.change(home=home)

    def begin(self, today: date) -> GeneratorState:
        """The state of a demo before anything is done; its history ends with the day before `today` (UTC)."""
        base = DEMO_CONFIG if self.export is None else NEIGHBOURS
        config = GeneratorConfig(
            listeners=base.listeners if self.listeners is None else self.listeners,
            days=base.days if self.days is None else self.days,
            seed=base.seed if self.seed is None else self.seed,
            tracks=base.tracks,
        ).end_before(today)
        return GeneratorState(
            listeners=config.listeners, days=config.days, seed=config.seed, tracks=config.tracks, start=config.start,
            person=None if self.export is None else self.user, alone=self.alone, history_complete=self.alone,
        )  # fmt: skip

    def check(self, state: GeneratorState, home: Path) -> None:
        """Refuse options that contradict what stands here already. Raises UsageError."""
        for name, asked in (("listeners", self.listeners), ("days", self.days), ("seed", self.seed), ("alone", self.alone or None)):
            if asked is not None and asked != getattr(state, name):
                raise UsageError(
                    f"--{name}: the demo in {home} was made with {name}={getattr(state, name)}",
                    next_step="leave the option out to go on with it, or name another folder in SOUNDLAKE_HOME",
                )


class GeneratorState(BaseModel):
    """One demo: which world it tells, how much of its history is published, and up to where it went on live (UTC)."""

    listeners: int
    days: int
    seed: int
    tracks: int
    start: date
    person: str | None = None
    alone: bool = False
    stretches_published: int = 0
    history_complete: bool = False
    live_until: datetime | None = None

    @property
    def config(self) -> GeneratorConfig:
        """The world of the generator."""
        return GeneratorConfig(listeners=self.listeners, days=self.days, seed=self.seed, tracks=self.tracks, start=self.start)


def load_state(home: Path) -> GeneratorState | None:
    """What the demo in this folder remembers; None before its first run. Raises DataError for a file that is not ours."""
    path = home / FILE
    try:
        return GeneratorState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError) as cause:
        raise DataError(f"{path} cannot be read as a demo's state", next_step=f"move {home} away; the demo then begins anew") from cause


def save_state(home: Path, state: GeneratorState) -> None:
    """Write it in one step: a reader sees the old state or the new one."""
    path = home / FILE
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.write(state.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
