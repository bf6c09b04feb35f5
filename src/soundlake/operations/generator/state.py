"""The state of the generator of one home, kept in a small file beside its data: a second run resumes where the first one stopped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from soundlake.errors import DataError, UsageError
from soundlake.generator import DEMO_CONFIG, GeneratorConfig
from soundlake.local_files import write_file
from soundlake.settings import Settings

FILE = "demo.json"
NEIGHBOURS = GeneratorConfig(listeners=300, days=30, seed=DEMO_CONFIG.seed, tracks=4_000)
"""Generated listeners beside a person: enough for similar ones in every part of their taste, and built in seconds."""


@dataclass(frozen=True)
class GeneratorOptions:
    """The options of the user; None: as in the saved state, or the default."""

    export: Path | None = None
    user: str = "me"
    alone: bool = False
    listeners: int | None = None
    days: int | None = None
    seed: int | None = None

    def set_home(self, settings: Settings) -> Settings:
        """The settings with the home of this demo: an export gets a folder of its own below home."""
        home = settings.home_folder
        if self.export is not None:
            home /= f"export-{re.sub(r'[^A-Za-z0-9_-]+', '-', self.user).strip('-') or 'listener'}"
        return settings.change(home=home)

    def make_state(self, today: date) -> GeneratorState:
        """The state before the first run; the history ends with the day before `today` (UTC)."""
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

    def check_state(self, state: GeneratorState, home: Path) -> None:
        """Raises UsageError for an option that contradicts the saved state."""
        for name, asked in (("listeners", self.listeners), ("days", self.days), ("seed", self.seed), ("alone", self.alone or None)):
            if asked is not None and asked != getattr(state, name):
                raise UsageError(
                    f"--{name} {asked}: the data in {home} was generated with {name}={getattr(state, name)}",
                    next_step="leave the option out to resume, or set SOUNDLAKE_HOME to another folder",
                )


class GeneratorState(BaseModel):
    """The configuration of the generator, how much of the history is published, and the time up to which live events are (UTC)."""

    listeners: int
    days: int
    seed: int
    tracks: int
    start: date
    person: str | None = None
    alone: bool = False
    chunks_published: int = Field(
        0, validation_alias=AliasChoices("chunks_published", "stretches_published")
    )  # the older name is in saved files
    history_complete: bool = False
    live_until: datetime | None = None

    @property
    def config(self) -> GeneratorConfig:
        """The configuration of the generator."""
        return GeneratorConfig(listeners=self.listeners, days=self.days, seed=self.seed, tracks=self.tracks, start=self.start)


def load_state(home: Path) -> GeneratorState | None:
    """The state saved in this home; None before the first run. Raises DataError for a file of another form."""
    path = home / FILE
    try:
        return GeneratorState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError) as cause:
        raise DataError(
            f"{path}: not the state of a generator", next_step=f"move {home} away; the next run starts from the beginning"
        ) from cause


def save_state(home: Path, state: GeneratorState) -> None:
    """Replace the file; after a power cut it holds the old state or the new one."""
    write_file(home / FILE, state.model_dump_json(indent=1), sync=True)
