"""Counts of a run: events, outcomes, rate."""

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
    """The number of events by type, and the times (UTC) of the first and the last one."""

    by_type: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    @classmethod
    def of(cls, events: pa.Table) -> EventCounts:
        """The counts of a table."""
        if not len(events):
            return cls()
        span = pc.min_max(events["played_at"]).as_py()
        pairs = pc.value_counts(events["event_type"]).to_pylist()
        return cls(Counter({pair["values"]: pair["counts"] for pair in pairs}), span["min"], span["max"])

    def __add__(self, other: EventCounts) -> EventCounts:
        firsts, lasts = ([moment for moment in moments if moment] for moments in ((self.first, other.first), (self.last, other.last)))
        return EventCounts(self.by_type + other.by_type, min(firsts, default=None), max(lasts, default=None))


class Tally:
    """Counts events by type and by outcome in the log, and measures the time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._started = clock, clock()
        self._counts = EventCounts()
        self.acknowledged = self.unsure = self.broken = 0
        self.failed_by_reason: Counter[str] = Counter()

    @property
    def events(self) -> int:
        """The number of events so far."""
        return self._counts.by_type.total()

    @property
    def rate(self) -> float:
        """Events per second so far."""
        return self.events / max(self.seconds, 1e-9)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def add(self, counts: EventCounts) -> None:
        """Add the counts of written events."""
        self._counts += counts

    def add_published(self, events: pa.Table, report: PublishReport) -> None:
        """Add published events and their outcome."""
        self.add(EventCounts.of(events))
        self.acknowledged += report.acknowledged
        self.unsure += report.unsure
        self.failed_by_reason.update(report.failed_by_reason)

    def format_progress(self, share_done: float) -> str:
        """Events, rate and time left, for a progress bar."""
        left = "" if share_done <= 0 else f", {self.seconds / share_done - self.seconds:,.0f} s left"
        return f"{self.events:,} events, {self.rate:,.0f}/s{left}"

    def describe(self) -> dict[str, Any]:
        """All counts as one flat record."""
        return {
            "events": self.events,
            **{f"events_{kind}": self._counts.by_type[kind] for kind in ("play", "skip", "like", "playlist")},
            "first": _format_time(self._counts.first),
            "last": _format_time(self._counts.last),
            "seconds": round(self.seconds, 3),
            "events_per_second": round(self.rate),
        }

    def describe_outcomes(self) -> dict[str, Any]:
        """The outcomes of the events in the log."""
        return {
            "acknowledged": self.acknowledged,
            "unsure": self.unsure,
            "failed": self.failed_by_reason.total(),
            "failed_by_reason": dict(self.failed_by_reason),
            "broken": self.broken,
        }


def _format_time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
