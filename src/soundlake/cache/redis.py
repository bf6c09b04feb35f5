"""Live metrics in Redis: counters a window, each event counted once by a script that runs whole or not at all."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa
import redis

from soundlake.cache.live import (
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
from soundlake.errors import Unavailable

_PREFIX = "soundlake:live"
_SPARE_SECONDS = 60  # clocks differ, and a repeat must find the traces of its event as long as its window may change
_COUNTS = tuple(COUNT_OF_TYPE.values())
_EVENTS_A_CALL = 2_000  # a call of the script holds up every other reader and writer: some milliseconds
_TIES = 200  # of equal counts the first by id is ranked: so many more are looked at

# The events of one short window. Whatever a call counts, it counts together with the mark that it did: after a lost connection or a killed
# writer the same call may be made again.
_RECORD = """
local short_until, until_s, events = ARGV[1], ARGV[2], cmsgpack.unpack(ARGV[3])
local seen, short, minute = KEYS[1], KEYS[2], KEYS[3]
local fields, tracks, names = {}, {}, {}
for _, event in ipairs(events) do
    local id, count, user, is_listen, device, country, track, name = unpack(event)
    if redis.call('SADD', seen, id) == 1 then
        fields[count] = (fields[count] or 0) + 1
        redis.call('SADD', short .. ':listeners', user)
        redis.call('SADD', minute .. ':listeners', user)
        if is_listen then
            fields['plays'] = (fields['plays'] or 0) + 1
            fields['device:' .. device] = (fields['device:' .. device] or 0) + 1
            fields['country:' .. country] = (fields['country:' .. country] or 0) + 1
            if track ~= '' then
                tracks[track] = (tracks[track] or 0) + 1
                if name ~= '' then names[track] = name end
            end
        end
    end
end
for _, window in ipairs({short, minute}) do
    for field, count in pairs(fields) do redis.call('HINCRBY', window, field, count) end
    for track, count in pairs(tracks) do redis.call('ZINCRBY', window .. ':tracks', count, track) end
    for _, part in ipairs({'', ':listeners', ':tracks'}) do
        redis.call('EXPIREAT', window .. part, window == short and short_until or until_s)
    end
end
for track, name in pairs(names) do redis.call('HSET', minute .. ':names', track, name) end
redis.call('EXPIREAT', minute .. ':names', until_s)
redis.call('EXPIREAT', seen, until_s)
"""


class RedisLiveStore:
    """Counters of each window under `soundlake:live:<seconds>:<begin>`; everything leaves by itself some minutes after the horizon.

    One Redis counts some ten thousand events a second; beyond, shard it by country or device before it.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        self._record = self._client.register_script(_RECORD)

    def record(self, events: pa.Table, now: datetime) -> None:
        """Count these events, each once."""
        now_ms = int(now.timestamp() * 1_000)
        by_window: dict[int, list[list[object]]] = {}
        for row in events.to_pylist():
            if is_in_horizon(row["ended_ms"], now_ms):
                by_window.setdefault(row["ended_ms"] // (SHORT_SECONDS * 1_000) * SHORT_SECONDS, []).append(_pack(row))
        with _explain_faults():
            for begin, packed in by_window.items():
                for first in range(0, len(packed), _EVENTS_A_CALL):
                    self._record_window(begin, packed[first : first + _EVENTS_A_CALL])

    def _record_window(self, begin: int, packed: Sequence[list[object]]) -> None:
        keys = [f"{_PREFIX}:seen:{begin}", _name(SHORT_SECONDS, begin), _name(MINUTE_SECONDS, begin // MINUTE_SECONDS * MINUTE_SECONDS)]
        self._record(keys=keys, args=[*_list_ends(begin), msgspec.msgpack.encode(packed)])

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
        with _explain_faults():
            return LiveMetrics(now, self._read_windows(now, SHORT_SECONDS), self._read_windows(now, MINUTE_SECONDS), self._read_tracks(now))

    def _read_windows(self, now: datetime, seconds: int) -> tuple[LiveWindow, ...]:
        begins = list_begins(now, seconds)
        pipeline = self._client.pipeline(transaction=False)
        for begin in begins:
            pipeline.hgetall(_name(seconds, begin))
            pipeline.scard(f"{_name(seconds, begin)}:listeners")
        found = pipeline.execute()
        return tuple(_read_window(begin, seconds, *found[2 * place : 2 * place + 2]) for place, begin in enumerate(begins))

    def _read_tracks(self, now: datetime) -> tuple[TopTrack, ...]:
        minutes = [_name(MINUTE_SECONDS, begin) for begin in list_begins(now, MINUTE_SECONDS)[-TOP_MINUTES:]]
        together = f"{_PREFIX}:top:{uuid.uuid4()}"
        pipeline = self._client.pipeline()
        pipeline.zunionstore(together, [f"{minute}:tracks" for minute in minutes])
        pipeline.zrevrange(together, 0, TOP_TRACKS + _TIES, withscores=True)
        pipeline.delete(together)
        counts = {track.decode(): int(count) for track, count in pipeline.execute()[1]}
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


@cache
def open_redis_store(url: str) -> RedisLiveStore:
    """The store at this address, one for all of this process."""
    return RedisLiveStore(url)


def _pack(row: Mapping[str, Any]) -> list[object]:
    """One event as the script takes it; its names stay one text, which only readers open."""
    name = msgspec.json.encode((row["track_name"], row["artist_name"] or "")).decode() if row["track_name"] else ""
    return [
        _shorten(row["event_id"]), COUNT_OF_TYPE[row["event_type"]], row["user_id"] or "", bool(row["is_listen"]),
        row["device_type"] or UNKNOWN, row["country"] or UNKNOWN, row["track_id"] or "", name,
    ]  # fmt: skip


def _shorten(event_id: str) -> str:
    """A UUID in 22 letters: millions of them stand in memory at once."""
    return base64.b64encode(uuid.UUID(event_id).bytes)[:22].decode()


def _list_ends(begin: int) -> tuple[int, int]:
    """When a short window is told no more, and when its minute can change no more."""
    return begin + SHORT_SECONDS * SHORT_WINDOWS + _SPARE_SECONDS, begin + MINUTE_SECONDS + HORIZON_SECONDS + _SPARE_SECONDS


def _read_window(begin: int, seconds: int, fields: Mapping[bytes, bytes], listeners: int) -> LiveWindow:
    counts = {name.decode(): int(count) for name, count in fields.items()}
    told = {name: counts.get(name, 0) for name in ("plays", *_COUNTS)}
    begins_at = datetime.fromtimestamp(begin, UTC)
    return LiveWindow(
        begins_at, seconds, listeners=listeners, devices=_pick(counts, "device:"), countries=_pick(counts, "country:"), **told
    )  # fmt: skip


def _pick(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}


def _name(seconds: int, begin: int) -> str:
    return f"{_PREFIX}:{seconds}:{begin}"


@contextmanager
def _explain_faults() -> Iterator[None]:
    try:
        yield
    except redis.AuthenticationError as cause:
        raise Unavailable("SOUNDLAKE_CACHE: Redis refuses the password", next_step="correct it: redis://:password@host:port/0") from cause
    except redis.RedisError as cause:
        raise Unavailable(f"SOUNDLAKE_CACHE: Redis does not answer: {cause}", next_step="see that it runs, then try again") from cause
