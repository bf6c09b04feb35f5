"""What a store of live metrics offers."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import pyarrow as pa

from soundlake.cache.live import LiveMetrics


class LiveStore(Protocol):
    """Counts events into the windows of `cache.live`. Every method may raise Unavailable."""

    def record(self, events: pa.Table, now: datetime) -> None:
        """Count these events (LIVE_SCHEMA), each once for ever: to record a batch again changes nothing, whatever was recorded between."""

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
