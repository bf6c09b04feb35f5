"""Live metrics in a real Redis: the same numbers as reckoned whole, and a plain end where its memory ends."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import redis
from tests.server_process import ServerProcess
from tests.unit.cache.test_live_metrics import make_event as make_event_of_then

from soundlake.cache import LIVE_SCHEMA, MemoryLiveStore
from soundlake.cache.live_metrics import HORIZON_SECONDS, TOP_TRACKS, UNKNOWN
from soundlake.cache.redis_store import RedisLiveStore
from soundlake.errors import Unavailable


@pytest.fixture
def client(redis_server: ServerProcess) -> Iterator[redis.Redis]:
    """An empty Redis, and empty again afterwards."""
    with redis.Redis.from_url(redis_server.server.url) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture
def store(client: redis.Redis, redis_server: ServerProcess) -> RedisLiveStore:
    return RedisLiveStore(redis_server.server.url)


@pytest.fixture
def now() -> datetime:
    """Within the minute: what is some seconds old is of it."""
    return datetime.now(UTC).replace(second=45, microsecond=0)


def make_event(now: datetime, seconds_ago: float = 0.0, **fields: object) -> dict[str, object]:
    return make_event_of_then(**fields) | {"ended_ms": int((now - timedelta(seconds=seconds_ago)).timestamp() * 1_000)}


def record(store: RedisLiveStore | MemoryLiveStore, events: list[dict[str, object]], now: datetime) -> None:
    store.record(pa.Table.from_pylist(events, LIVE_SCHEMA), now)


def check_alike(store: RedisLiveStore, events: list[dict[str, object]], now: datetime) -> None:
    """Both count the same of these events, told twice and in parts."""
    reckoned = MemoryLiveStore()
    record(reckoned, events, now)
    for first in (0, 0, *range(0, len(events), 300)):
        record(store, events[first : first + 300], now)
    assert store.read(now) == reckoned.read(now)


@pytest.mark.parametrize("ahead", range(0, TOP_TRACKS + 2, 3))
def test_of_a_thousand_tracks_that_tie_both_rank_the_first_by_id(store, now, ahead):
    chance = random.Random(ahead)
    ids = [f"t{number:04}" for number in range(990)] + [f"{letter}-é" for letter in "abcdefزÅ𝄞Z"]
    tied = [make_event(now, chance.uniform(0, 500), track_id=track) for track in ids]
    again = [make_event(now, chance.uniform(0, 500), track_id=track) for track in chance.sample(ids, ahead)]
    check_alike(store, tied + again, now)
    assert [track.plays for track in store.read(now).top_tracks] == ([2] * ahead + [1] * TOP_TRACKS)[:TOP_TRACKS]


def test_fewer_tracks_than_places_are_all_told(store, now):
    check_alike(store, [make_event(now, track_id=track, track_name="Ääni", artist_name="نور") for track in "abca"], now)


def test_many_listeners_devices_and_kinds_are_counted_alike(store, now):
    chance = random.Random(3)
    events = [
        make_event(
            now, chance.uniform(-60, HORIZON_SECONDS), user_id=f"u{chance.randrange(1_500)}", event_type=kind,
            is_listen=(kind == "play" and chance.random() < 0.8) or None, device_type=chance.choice(["tv", None]),
            track_id=f"t{chance.randrange(40)}",
        )
        for kind in chance.choices(["play", "skip", "like", "playlist"], k=3_000)
    ]  # fmt: skip
    check_alike(store, events, now)
    assert {"tv", UNKNOWN} == set(store.read(now).minutes[-2].devices)


def test_copies_with_other_contents_are_counted_alike(store, now):
    first = make_event(now, country="DE")
    copies = [{"country": "FR"}, {"event_type": "like", "is_listen": None}, {"ended_ms": first["ended_ms"] - 30_000}]
    check_alike(store, [first, *(first | copy for copy in copies)], now)
    assert (store.read(now).minutes[-1].started, store.read(now).minutes[-1].countries) == (2, {"DE": 2})


def test_a_clock_that_is_ahead_neither_counts_nor_stays(store, client, now):
    check_alike(store, [make_event(now, -ahead) for ahead in (0, 600, HORIZON_SECONDS + 1, 86_400)], now)
    left_s = [client.ttl(key) for key in client.scan_iter("soundlake:live:*")]
    assert min(left_s) > 0
    assert max(left_s) < 2 * HORIZON_SECONDS + 4 * 60


def test_a_mark_that_an_event_was_counted_takes_few_bytes(store, client, now):
    """`docs/streaming.md` reckons with it: as 22 letters a mark took 76 bytes."""
    events = [make_event(now, number % 10 / 10, user_id=f"u{number}", track_id="t") for number in range(40_000)]
    record(store, events, now)
    sizes = {key: client.memory_usage(key) for key in client.scan_iter("soundlake:live:seen:*")}
    assert sum(sizes.values()) / len(events) < 16
    assert {client.object("encoding", key) for key in sizes} == {b"intset"}


def test_where_memory_ends_nothing_is_let_go_and_the_limit_is_named(store, client, now):
    before = [make_event(now, user_id=f"u{number}") for number in range(100)]
    record(store, before, now)
    client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    try:
        with pytest.raises(Unavailable, match=r"Redis is full \(maxmemory is .*[KM]\): live metrics are not counted\n→ give it more"):
            record(store, [make_event(now, event_id=str(uuid.uuid4())) for _ in range(3_000)], now)
    finally:
        client.config_set("maxmemory", "512mb")
    assert store.read(now).minutes[-1].started == len(before)
    assert client.info("stats")["evicted_keys"] == 0
