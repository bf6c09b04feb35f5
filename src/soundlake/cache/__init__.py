"""Stores of live metrics: in Redis or in the memory of this process."""

from soundlake.cache.live_metrics import LIVE_SCHEMA, LiveMetrics, LiveWindow, TopTrack
from soundlake.cache.memory_store import MemoryLiveStore
from soundlake.cache.protocol import LiveStore

__all__ = ["LIVE_SCHEMA", "LiveMetrics", "LiveStore", "LiveWindow", "MemoryLiveStore", "TopTrack"]
