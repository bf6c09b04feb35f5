"""What a store of live metrics offers."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import pyarrow as pa

from soundlake.cache.live_metrics import LiveMetrics


class LiveStore(Protocol):
    """Counts events into the windows of `cache.live`. Every method may raise Unavailable.

    An event is its type, its id and the ten seconds in which it was over: by contract one id has one such moment, so copies that disagree
    about it are a conflict, which silver decides, and each counts where it says.
    """

    def record(self, events: pa.Table, now: datetime) -> None:
        """Count these events (LIVE_SCHEMA), each once: to record a batch again changes nothing, whatever was recorded between.

        What is past the horizon by then, or as far ahead, does not count. Where there is no room for more that is Unavailable, and nothing
        that was counted is let go.
        """

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
