"""Options of a simulated world, validated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from soundlake.errors import UsageError

RANGES: dict[str, tuple[int, int]] = {
    "listeners": (1, 50_000_000),
    "days": (1, 36_525),
    "seed": (0, 2**63 - 1),
    "tracks": (50, 2_000_000),
}
FIRST_START, LAST_END = date(2000, 1, 3), date(2100, 1, 1)


@dataclass(frozen=True)
class GeneratorConfig:
    """A world and the days to simulate: the same values give the same events. `start` is the first day, UTC.

    `catalog` is a Parquet or CSV file with real tracks; without it, `tracks` tracks are made up.
    Raises UsageError with the option and its range.
    """

    listeners: int = 2_000
    days: int = 30
    seed: int = 42
    start: date = field(default=date(2026, 10, 1))
    tracks: int = 20_000
    catalog: Path | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"--{name} {value}: out of range", next_step=f"choose a number from {low:,} to {high:,}")
        if self.start < FIRST_START or self.end > LAST_END:
            raise UsageError(
                f"--start {self.start} with --days {self.days}: out of range", next_step=f"stay between {FIRST_START} and {LAST_END}"
            )

    @property
    def end(self) -> date:
        """The day after the last day."""
        return self.start + timedelta(days=self.days)

    def end_before(self, day: date) -> GeneratorConfig:
        """The same world, with its last day the one before `day`."""
        return replace(self, start=day - timedelta(days=self.days))


DEMO_CONFIG = GeneratorConfig(listeners=2_090, days=20, seed=42)
"""About a million events."""
