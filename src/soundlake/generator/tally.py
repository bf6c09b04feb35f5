"""What a run has made so far, and how fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker.account import PublishAccount


class Tally:
    """Counts events by type, what became of them in the log, and the time it took."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._started = clock, clock()
        self.by_type: Counter[str] = Counter()
        self.acknowledged = self.unsure = self.broken = 0
        self.failed_by_reason: Counter[str] = Counter()
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def events(self) -> int:
        """How many events were made."""
        return self.by_type.total()

    @property
    def rate(self) -> float:
        """Events a second so far."""
        return self.events / max(self.seconds, 1e-9)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def count(self, events: pa.Table, account: PublishAccount | None = None) -> None:
        """Take in a table of events, and what became of it."""
        if len(events):
            self.by_type.update({pair["values"]: pair["counts"] for pair in pc.value_counts(events["event_type"]).to_pylist()})
            span = pc.min_max(events["played_at"]).as_py()
            self._first = min(span["min"], self._first or span["min"])
            self._last = max(span["max"], self._last or span["max"])
        if account is not None:
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
            **{f"events_{kind}": self.by_type[kind] for kind in ("play", "skip", "like", "playlist")},
            "first": self._first and self._first.isoformat().replace("+00:00", "Z"),
            "last": self._last and self._last.isoformat().replace("+00:00", "Z"),
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
