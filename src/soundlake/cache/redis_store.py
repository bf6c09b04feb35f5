"""Live metrics in Redis: counters per window; an atomic script counts each event once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa
import redis

from soundlake.cache.live_metrics import (
    COUNT_OF_TYPE,
    HORIZON_SECONDS,
    MINUTE_SECONDS,
    SHORT_SECONDS,
    SHORT_WINDOWS,
    TOP_MINUTES,
    TOP_TRACKS,
    UNKNOWN,
    LiveMetrics,
    LiveWindow,
    TopTrack,
    is_in_horizon,
    list_window_starts,
    rank_tracks,
)
from soundlake.cache.redis_scripts import RECORD, TOP
from soundlake.errors import Unavailable

_PREFIX = "soundlake:live"
_SPARE_SECONDS = 60  # clocks differ, and the mark of an event must live as long as its window may change
_FIELDS = ("plays", "listeners", *COUNT_OF_TYPE.values())
_EVENTS_A_CALL = 2_000  # a call of the script blocks all other clients, for some milliseconds


class RedisLiveStore:
    """Counters of each window under `soundlake:live:<seconds>:<start>`; all keys expire some minutes after the horizon.

    One Redis counts some ten thousand events per second; beyond that, shard by country or device. It must not evict keys
    (`maxmemory-policy noeviction`): when its memory is full, nothing is counted and Unavailable is raised.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        self._record = self._client.register_script(RECORD)
        self._rank = self._client.register_script(TOP)

    def record(self, events: pa.Table, now: datetime) -> None:
        """Count the events, each once in its ten seconds."""
        now_ms = int(now.timestamp() * 1_000)
        by_window: dict[int, list[list[object]]] = {}
        for row in events.to_pylist():
            if is_in_horizon(row["ended_ms"], now_ms):
                by_window.setdefault(row["ended_ms"] // (SHORT_SECONDS * 1_000) * SHORT_SECONDS, []).append(_pack(row))
        with translate_errors(self._client):
            for start, packed in by_window.items():
                for first in range(0, len(packed), _EVENTS_A_CALL):
                    self._record_window(start, packed[first : first + _EVENTS_A_CALL])

    def _record_window(self, start: int, packed: Sequence[list[object]]) -> None:
        keys = [
            f"{_PREFIX}:seen:{start}",
            _make_key(SHORT_SECONDS, start),
            _make_key(MINUTE_SECONDS, start // MINUTE_SECONDS * MINUTE_SECONDS),
        ]
        self._record(keys=keys, args=[*_list_expiries(start), msgspec.msgpack.encode(packed)])

    def read(self, now: datetime) -> LiveMetrics:
        """Read the metrics at `now`."""
        with translate_errors(self._client):
            return LiveMetrics(now, self._read_windows(now, SHORT_SECONDS), self._read_windows(now, MINUTE_SECONDS), self._read_tracks(now))

    def _read_windows(self, now: datetime, seconds: int) -> tuple[LiveWindow, ...]:
        starts = list_window_starts(now, seconds)
        pipeline = self._client.pipeline(transaction=False)
        for start in starts:
            pipeline.hgetall(_make_key(seconds, start))
        return tuple(_read_window(start, seconds, fields) for start, fields in zip(starts, pipeline.execute(), strict=True))

    def _read_tracks(self, now: datetime) -> tuple[TopTrack, ...]:
        minutes = [_make_key(MINUTE_SECONDS, start) for start in list_window_starts(now, MINUTE_SECONDS)[-TOP_MINUTES:]]
        keys = [f"{_PREFIX}:top", *(f"{minute}:tracks" for minute in minutes)]
        found = [part for reply in self._rank(keys=keys, args=[TOP_TRACKS]) for part in reply]
        counts = {track.decode(): int(count) for track, count in zip(found[::2], found[1::2], strict=True)}
        best = [top.track_id for top in rank_tracks(counts, {})]
        return rank_tracks({track: counts[track] for track in best}, self._read_names(minutes, best))

    def _read_names(self, minutes: Sequence[str], tracks: Sequence[str]) -> dict[str, tuple[str, str]]:
        if not tracks:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for minute in minutes:
            pipeline.hmget(f"{minute}:names", tracks)
        names: dict[str, tuple[str, str]] = {}
        for found in pipeline.execute():
            for track, name in zip(tracks, found, strict=True):
                if name is not None:
                    title, artist = msgspec.json.decode(name, type=tuple[str, str])
                    names[track] = title, artist
        return names


@contextmanager
def translate_errors(client: redis.Redis) -> Iterator[None]:
    """Raise Unavailable, with what to do, for an error of Redis in the block."""
    try:
        yield
    except redis.AuthenticationError as cause:
        raise Unavailable(
            "SOUNDLAKE_CACHE: Redis does not accept the password", next_step="correct it: redis://:password@host:port/0"
        ) from cause
    except redis.RedisError as cause:
        if "'maxmemory'" in str(cause):  # before Redis 7 this error of a script has no class of its own
            raise _make_full_error(client) from cause
        raise Unavailable(
            f"SOUNDLAKE_CACHE: Redis does not answer: {cause}", next_step="check that it is running, then try again"
        ) from cause


def _make_full_error(client: redis.Redis) -> Unavailable:
    limit = "maxmemory is unknown"
    with suppress(redis.RedisError):
        limit = f"maxmemory is {client.info('memory')['maxmemory_human']}"
    return Unavailable(
        f"SOUNDLAKE_CACHE: Redis is full ({limit}): nothing more is kept there",
        next_step="raise maxmemory, or wait: keys expire after the horizon",
    )


@cache
def open_redis_store(url: str) -> RedisLiveStore:
    """Open the store at this address; one instance per process."""
    return RedisLiveStore(url)


def _pack(row: Mapping[str, Any]) -> list[object]:
    """Pack an event for the script; title and artist are one text, which only readers decode."""
    name = msgspec.json.encode((row["track_name"], row["artist_name"] or "")).decode() if row["track_name"] else ""
    return [
        _hash(row["event_type"].encode() + uuid.UUID(row["event_id"]).bytes), COUNT_OF_TYPE[row["event_type"]],
        _hash((row["user_id"] or "").encode()), bool(row["is_listen"]),
        row["device_type"] or UNKNOWN, row["country"] or UNKNOWN, row["track_id"] or "", name,
    ]  # fmt: skip


def _hash(value: bytes) -> str:
    """Hash to 64 bits, as a signed integer. The probability of a collision among 100,000 values is about 1 in 4 thousand million."""
    return str(int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), signed=True))


def _list_expiries(start: int) -> tuple[int, int, int]:
    """List the expiry times: of a short window, of the top tracks of its minute, and of the marks and counts of its minute."""
    shown_until = start + MINUTE_SECONDS + _SPARE_SECONDS
    short_until = start + SHORT_SECONDS * SHORT_WINDOWS + _SPARE_SECONDS
    return short_until, shown_until + MINUTE_SECONDS * TOP_MINUTES, shown_until + HORIZON_SECONDS


def _read_window(start: int, seconds: int, fields: Mapping[bytes, bytes]) -> LiveWindow:
    counts = {name.decode(): int(count) for name, count in fields.items()}
    totals = {name: counts.get(name, 0) for name in _FIELDS}
    begins_at = datetime.fromtimestamp(start, UTC)
    return LiveWindow(begins_at, seconds, devices=_pick(counts, "device:"), countries=_pick(counts, "country:"), **totals)


def _pick(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}


def _make_key(seconds: int, start: int) -> str:
    return f"{_PREFIX}:{seconds}:{start}"
