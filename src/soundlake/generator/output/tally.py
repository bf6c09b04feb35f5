"""What a run has made so far, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker.publish_report import PublishReport


@dataclass(frozen=True)
class EventCounts:
    """How many events of each type, and when (UTC) the first and the last of them happened."""

    by_type: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    @classmethod
    def of(cls, events: pa.Table) -> EventCounts:
        """Those of a table."""
        if not len(events):
            return cls()
        span = pc.min_max(events["played_at"]).as_py()
        pairs = pc.value_counts(events["event_type"]).to_pylist()
        return cls(Counter({pair["values"]: pair["counts"] for pair in pairs}), span["min"], span["max"])

    def __add__(self, other: EventCounts) -> EventCounts:
        firsts, lasts = ([moment for moment in moments if moment] for moments in ((self.first, other.first), (self.last, other.last)))
        return EventCounts(self.by_type + other.by_type, min(firsts, default=None), max(lasts, default=None))


class Tally:
    """Counts events by type, what became of them in the log, and the time it took."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._started = clock, clock()
        self._count = EventCounts()
        self.acknowledged = self.unsure = self.broken = 0
        self.failed_by_reason: Counter[str] = Counter()

    @property
    def events(self) -> int:
        """How many events were made."""
        return self._count.by_type.total()

    @property
    def rate(self) -> float:
        """Events a second so far."""
        return self.events / max(self.seconds, 1e-9)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def add(self, count: EventCounts) -> None:
        """Take in what was counted elsewhere."""
        self._count += count

    def count(self, events: pa.Table, account: PublishReport) -> None:
        """Take in a table of events, and what became of it."""
        self.add(EventCounts.of(events))
        self.acknowledged += account.acknowledged
        self.unsure += account.unsure
        self.failed_by_reason.update(account.failed_by_reason)

    def tell(self, share_done: float) -> str:
        """Rate and time left, for a progress bar."""
        left = "" if share_done <= 0 else f", {self.seconds / share_done - self.seconds:,.0f} s left"
        return f"{self.events:,} events, {self.rate:,.0f}/s{left}"

    def describe(self) -> dict[str, Any]:
        """The whole as one flat record."""
        return {
            "events": self.events,
            **{f"events_{kind}": self._count.by_type[kind] for kind in ("play", "skip", "like", "playlist")},
            "first": _write_moment(self._count.first),
            "last": _write_moment(self._count.last),
            "seconds": round(self.seconds, 3),
            "events_per_second": round(self.rate),
        }

    def describe_account(self) -> dict[str, Any]:
        """What became of the events in the log."""
        return {
            "acknowledged": self.acknowledged,
            "unsure": self.unsure,
            "failed": self.failed_by_reason.total(),
            "failed_by_reason": dict(self.failed_by_reason),
            "broken": self.broken,
        }


def _write_moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
