"""Live metrics in this process: for tests, and for who has the events at hand."""

from __future__ import annotations

import threading
from datetime import datetime

import pyarrow as pa

from soundlake.cache.live_metrics import LIVE_SCHEMA, LiveMetrics, is_in_horizon, summarize


class MemoryLiveStore:
    """Keeps the events of the horizon and reckons from them whenever it is asked."""

    def __init__(self) -> None:
        self._events = LIVE_SCHEMA.empty_table()
        self._lock = threading.Lock()

    def record(self, events: pa.Table, now: datetime) -> None:
        """Keep the events; forget those that are past the horizon."""
        now_ms = int(now.timestamp() * 1_000)
        with self._lock:
            everything = pa.concat_tables([self._events, events.cast(LIVE_SCHEMA)])
            self._events = everything.filter(
                pa.array([is_in_horizon(ended_ms, now_ms) for ended_ms in everything["ended_ms"].to_pylist()], pa.bool_())
            )

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
        with self._lock:
            return summarize(self._events, now)
