"""The interface of a store of live metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import pyarrow as pa

from soundlake.cache.live_metrics import LiveMetrics


class LiveStore(Protocol):
    """Counts events into the windows of `cache.live_metrics`. Every method may raise Unavailable.

    An event is identified by its type, its id and the ten seconds in which it ended. Copies of one event with different ends are a
    conflict that silver resolves later; here each copy counts in its own window.
    """

    def record(self, events: pa.Table, now: datetime) -> None:
        """Count the events (LIVE_SCHEMA), each once. Idempotent: recording a batch again changes nothing.

        Events past the horizon, or further ahead than it, do not count. Raises Unavailable if the store is full; its counts are kept.
        """

    def read(self, now: datetime) -> LiveMetrics:
        """Read the metrics at `now`."""
