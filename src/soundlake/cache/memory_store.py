"""Live metrics in the memory of this process: for tests, and for programs that read the events themselves."""

from __future__ import annotations

import threading
from datetime import datetime

import pyarrow as pa

from soundlake.cache.live_metrics import LIVE_SCHEMA, LiveMetrics, is_in_horizon, summarize


class MemoryLiveStore:
    """Keeps the events within the horizon and computes the metrics at each read."""

    def __init__(self) -> None:
        self._events = LIVE_SCHEMA.empty_table()
        self._lock = threading.Lock()

    def record(self, events: pa.Table, now: datetime) -> None:
        """Add the events and remove those past the horizon."""
        now_ms = int(now.timestamp() * 1_000)
        with self._lock:
            everything = pa.concat_tables([self._events, events.cast(LIVE_SCHEMA)])
            self._events = everything.filter(
                pa.array([is_in_horizon(ended_ms, now_ms) for ended_ms in everything["ended_ms"].to_pylist()], pa.bool_())
            )

    def read(self, now: datetime) -> LiveMetrics:
        """Compute the metrics at `now`."""
        with self._lock:
            return summarize(self._events, now)
