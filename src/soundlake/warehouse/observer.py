"""What a transform reports, and the observer that receives it; telemetry implements the observer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TransformReport:
    """What one transform did. `rows` and `seconds_by_model` are by model; `full_refresh_reasons` is empty for an incremental build."""

    snapshot: str
    built: bool
    full_refresh_reasons: tuple[str, ...]
    new_batches: dict[str, int]
    rows: dict[str, int]
    seconds_by_model: dict[str, float]
    seconds: float

    @property
    def is_full_refresh(self) -> bool:
        """Whether the build read all of bronze."""
        return bool(self.full_refresh_reasons)


class BuildObserver(Protocol):
    """Is called at the end of each transform."""

    def record_build(self, report: TransformReport) -> None:
        """A transform succeeded."""

    def record_failed_build(self, seconds: float) -> None:
        """A transform raised an error after `seconds`."""


class NoOpObserver:
    """The no-op observer."""

    def record_build(self, report: TransformReport) -> None:
        """Do nothing."""

    def record_failed_build(self, seconds: float) -> None:
        """Do nothing."""
