"""Who watches builds of the warehouse hears how each ended; the warehouse itself knows nothing of metrics."""

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
        """Everything was read anew."""
        return bool(self.full_refresh_reasons)


class BuildObserver(Protocol):
    """Hears how builds end."""

    def build_ended(self, report: TransformReport) -> None:
        """One ended well."""

    def build_failed(self, seconds: float) -> None:
        """One ended by an error, after so long."""


class Unobserved:
    """The observer of those who do not want to know."""

    def build_ended(self, report: TransformReport) -> None:
        """Nothing."""

    def build_failed(self, seconds: float) -> None:
        """Nothing."""
