"""Live metrics in Redis: counters a window, each event counted once by a script that runs whole or not at all."""

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
    list_begins,
    rank_tracks,
)
from soundlake.cache.redis_scripts import RECORD, TOP
from soundlake.errors import Unavailable

_PREFIX = "soundlake:live"
_SPARE_SECONDS = 60  # clocks differ, and a repeat must find the traces of its event as long as its window may change
_FIELDS = ("plays", "listeners", *COUNT_OF_TYPE.values())
_EVENTS_A_CALL = 2_000  # a call of the script holds up every other reader and writer: some milliseconds


class RedisLiveStore:
    """Counters of each window under `soundlake:live:<seconds>:<begin>`; everything leaves by itself some minutes after the horizon.

    One Redis counts some ten thousand events a second; beyond, shard it by country or device before it. It must not evict what is not over
    (`maxmemory-policy noeviction`): where its memory ends nothing is counted, and Unavailable says so.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        self._record = self._client.register_script(RECORD)
        self._rank = self._client.register_script(TOP)

    def record(self, events: pa.Table, now: datetime) -> None:
        """Count these events, each once in its ten seconds."""
        now_ms = int(now.timestamp() * 1_000)
        by_window: dict[int, list[list[object]]] = {}
        for row in events.to_pylist():
            if is_in_horizon(row["ended_ms"], now_ms):
                by_window.setdefault(row["ended_ms"] // (SHORT_SECONDS * 1_000) * SHORT_SECONDS, []).append(_pack(row))
        with self._explain_faults():
            for begin, packed in by_window.items():
                for first in range(0, len(packed), _EVENTS_A_CALL):
                    self._record_window(begin, packed[first : first + _EVENTS_A_CALL])

    def _record_window(self, begin: int, packed: Sequence[list[object]]) -> None:
        keys = [f"{_PREFIX}:seen:{begin}", _name(SHORT_SECONDS, begin), _name(MINUTE_SECONDS, begin // MINUTE_SECONDS * MINUTE_SECONDS)]
        self._record(keys=keys, args=[*_list_ends(begin), msgspec.msgpack.encode(packed)])

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
        with self._explain_faults():
            return LiveMetrics(now, self._read_windows(now, SHORT_SECONDS), self._read_windows(now, MINUTE_SECONDS), self._read_tracks(now))

    def _read_windows(self, now: datetime, seconds: int) -> tuple[LiveWindow, ...]:
        begins = list_begins(now, seconds)
        pipeline = self._client.pipeline(transaction=False)
        for begin in begins:
            pipeline.hgetall(_name(seconds, begin))
        return tuple(_read_window(begin, seconds, fields) for begin, fields in zip(begins, pipeline.execute(), strict=True))

    def _read_tracks(self, now: datetime) -> tuple[TopTrack, ...]:
        minutes = [_name(MINUTE_SECONDS, begin) for begin in list_begins(now, MINUTE_SECONDS)[-TOP_MINUTES:]]
        keys = [f"{_PREFIX}:top", *(f"{minute}:tracks" for minute in minutes)]
        found = [part for told in self._rank(keys=keys, args=[TOP_TRACKS]) for part in told]
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
    def _explain_faults(self) -> Iterator[None]:
        try:
            yield
        except redis.AuthenticationError as cause:
            raise Unavailable(
                "SOUNDLAKE_CACHE: Redis refuses the password", next_step="correct it: redis://:password@host:port/0"
            ) from cause
        except redis.RedisError as cause:
            if "'maxmemory'" in str(cause):  # a script's fault has no class of its own before Redis 7
                raise self._tell_full() from cause
            raise Unavailable(f"SOUNDLAKE_CACHE: Redis does not answer: {cause}", next_step="see that it runs, then try again") from cause

    def _tell_full(self) -> Unavailable:
        limit = "its limit"
        with suppress(redis.RedisError):
            limit = f"maxmemory is {self._client.info('memory')['maxmemory_human']}"
        return Unavailable(
            f"SOUNDLAKE_CACHE: Redis is full ({limit}): live metrics are not counted",
            next_step="give it more (maxmemory); what is older than the horizon leaves by itself, so it may be enough to wait",
        )


@cache
def open_redis_store(url: str) -> RedisLiveStore:
    """The store at this address, one for all of this process."""
    return RedisLiveStore(url)


def _pack(row: Mapping[str, Any]) -> list[object]:
    """One event as the script takes it; its names stay one text, which only readers open."""
    name = msgspec.json.encode((row["track_name"], row["artist_name"] or "")).decode() if row["track_name"] else ""
    return [
        _hash(row["event_type"].encode() + uuid.UUID(row["event_id"]).bytes), COUNT_OF_TYPE[row["event_type"]],
        _hash((row["user_id"] or "").encode()), bool(row["is_listen"]),
        row["device_type"] or UNKNOWN, row["country"] or UNKNOWN, row["track_id"] or "", name,
    ]  # fmt: skip


def _hash(value: bytes) -> str:
    """64 bits, as a signed integer. That two of 100,000 values share one happens once in four thousand million times."""
    return str(int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), signed=True))


def _list_ends(begin: int) -> tuple[int, int, int]:
    """When a short window is told no more, when its minute counts for top tracks no more, and when its minute can change no more."""
    over = begin + MINUTE_SECONDS + _SPARE_SECONDS
    return begin + SHORT_SECONDS * SHORT_WINDOWS + _SPARE_SECONDS, over + MINUTE_SECONDS * TOP_MINUTES, over + HORIZON_SECONDS


def _read_window(begin: int, seconds: int, fields: Mapping[bytes, bytes]) -> LiveWindow:
    counts = {name.decode(): int(count) for name, count in fields.items()}
    told = {name: counts.get(name, 0) for name in _FIELDS}
    begins_at = datetime.fromtimestamp(begin, UTC)
    return LiveWindow(begins_at, seconds, devices=_pick(counts, "device:"), countries=_pick(counts, "country:"), **told)


def _pick(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}


def _name(seconds: int, begin: int) -> str:
    return f"{_PREFIX}:{seconds}:{begin}"
