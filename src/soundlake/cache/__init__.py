"""Stores of live metrics and of what plays now: in Redis, in a file, or in the memory of this process."""

from soundlake.cache.live_metrics import LIVE_SCHEMA, LiveMetrics, LiveWindow, TopTrack
from soundlake.cache.memory_store import MemoryLiveStore
from soundlake.cache.now_playing import FileNowPlayingStore, NowPlaying, NowPlayingStore
from soundlake.cache.protocol import LiveStore

__all__ = [
    "LIVE_SCHEMA",
    "FileNowPlayingStore",
    "LiveMetrics",
    "LiveStore",
    "LiveWindow",
    "MemoryLiveStore",
    "NowPlaying",
    "NowPlayingStore",
    "TopTrack",
]
