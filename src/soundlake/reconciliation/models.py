"""The result of a reconciliation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Check:
    """One comparison: the expected and the actual count, and the parts of the sum."""

    name: str
    expected: int
    found: int
    parts: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether the counts are equal."""
        return self.expected == self.found


@dataclass(frozen=True)
class Freshness:
    """The age of the newest data (UTC), and how much waits for the sink and for the next build."""

    newest_in_bronze: datetime | None
    snapshot: str | None
    snapshot_built_at: datetime | None
    snapshot_age_seconds: float | None
    records_waiting_in_log: int
    rows_waiting_in_bronze: int


@dataclass(frozen=True)
class CheckReport:
    """All checks of one run; `rejected_by_rule`, `flagged_by_rule` and `undecodable_by_reason` count rows."""

    checks: tuple[Check, ...]
    rejected_by_rule: dict[str, int]
    flagged_by_rule: dict[str, int]
    undecodable_by_reason: dict[str, int]
    freshness: Freshness

    @property
    def ok(self) -> bool:
        """Whether all checks are ok."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Every field by name."""
        return {"ok": self.ok, **asdict(self), "checks": [{**asdict(check), "ok": check.ok} for check in self.checks]}
