"""Live metrics in this process: for tests, and for who has the events at hand."""

from __future__ import annotations

import threading
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.cache.live import HORIZON_SECONDS, LIVE_SCHEMA, LiveMetrics, summarize


class MemoryLiveStore:
    """Keeps the events of the horizon and reckons from them whenever it is asked."""

    def __init__(self) -> None:
        self._events = LIVE_SCHEMA.empty_table()
        self._lock = threading.Lock()

    def record(self, events: pa.Table, now: datetime) -> None:
        """Keep the events; forget those that are past the horizon."""
        oldest_ms = int((now.timestamp() - HORIZON_SECONDS) // 60) * 60_000
        with self._lock:
            everything = pa.concat_tables([self._events, events.cast(LIVE_SCHEMA)])
            self._events = everything.filter(pc.greater_equal(everything["ended_ms"], oldest_ms))

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
        with self._lock:
            return summarize(self._events, now)
