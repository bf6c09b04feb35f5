"""What each listener plays in this second, in Redis: one key a listener, which expires."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import msgspec
import redis

from soundlake.cache.now_playing import KEPT_FOR, NowPlaying
from soundlake.cache.redis_store import translate_errors

_PREFIX = "soundlake:now:"


class RedisNowPlayingStore:
    """Sightings under `soundlake:now:<listener>`. Every method raises Unavailable if Redis does not answer."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)

    def write(self, playing: NowPlaying) -> None:
        """Keep it in place of the listener's last one."""
        with translate_errors(self._client):
            self._client.set(_PREFIX + playing.listener, msgspec.json.encode(playing), ex=KEPT_FOR)

    def delete(self, listener: str) -> None:
        """Forget what a listener plays."""
        with translate_errors(self._client):
            self._client.delete(_PREFIX + listener)

    def read(self, listener: str, now: datetime) -> NowPlaying | None:
        """What a listener plays; what cannot be read is nothing."""
        with translate_errors(self._client):
            found = self._client.get(_PREFIX + listener)
        try:
            playing = None if found is None else msgspec.json.decode(found, type=NowPlaying)
        except msgspec.DecodeError:
            return None
        return playing if playing is not None and playing.is_current(now) else None


@cache
def open_redis_now_playing(url: str) -> RedisNowPlayingStore:
    """Open the store at this address; one instance per process."""
    return RedisNowPlayingStore(url)
