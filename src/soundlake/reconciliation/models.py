"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Check:
    """One sum: what is expected, what was found, and the parts it is made of."""

    name: str
    expected: int
    found: int
    parts: dict[str, int]

    @property
    def ok(self) -> bool:
        """It adds up."""
        return self.expected == self.found


@dataclass(frozen=True)
class Freshness:
    """How old the newest data is (UTC), and what is still on its way."""

    newest_in_bronze: datetime | None
    snapshot: str | None
    snapshot_built_at: datetime | None
    snapshot_age_seconds: float | None
    records_waiting_in_log: int
    rows_waiting_in_bronze: int


@dataclass(frozen=True)
class CheckReport:
    """All checks of one look; `rejected_by_rule`, `flagged_by_rule` and `undecodable_by_reason` count rows."""

    checks: tuple[Check, ...]
    rejected_by_rule: dict[str, int]
    flagged_by_rule: dict[str, int]
    undecodable_by_reason: dict[str, int]
    freshness: Freshness

    @property
    def ok(self) -> bool:
        """Everything adds up."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return {"ok": self.ok, **asdict(self), "checks": [{**asdict(check), "ok": check.ok} for check in self.checks]}
