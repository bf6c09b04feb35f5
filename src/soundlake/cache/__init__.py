"""What is remembered for a while: live metrics, in Redis or in this process."""

from soundlake.cache.live import LIVE_SCHEMA, LiveMetrics, LiveWindow, TopTrack
from soundlake.cache.memory import MemoryLiveStore
from soundlake.cache.protocol import LiveStore

__all__ = ["LIVE_SCHEMA", "LiveMetrics", "LiveStore", "LiveWindow", "MemoryLiveStore", "TopTrack"]
