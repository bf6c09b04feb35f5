"""Live metrics in a real Redis: the same numbers as computed in memory, and a clear error if its memory is full."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import redis
from tests.server_process import ServerProcess
from tests.unit.cache.test_live_metrics import make_event as make_event_of_unit_tests
from tests.unit.cache.test_now_playing import make_sighting

from soundlake.cache import LIVE_SCHEMA, MemoryLiveStore
from soundlake.cache.live_metrics import HORIZON_SECONDS, TOP_TRACKS, UNKNOWN
from soundlake.cache.now_playing import KEPT_FOR
from soundlake.cache.redis_now_playing import RedisNowPlayingStore
from soundlake.cache.redis_store import RedisLiveStore
from soundlake.errors import Unavailable


@pytest.fixture
def client(redis_server: ServerProcess) -> Iterator[redis.Redis]:
    """A client of a Redis that is empty before and after the test."""
    with redis.Redis.from_url(redis_server.server.url) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture
def store(client: redis.Redis, redis_server: ServerProcess) -> RedisLiveStore:
    return RedisLiveStore(redis_server.server.url)


@pytest.fixture
def now() -> datetime:
    """A time late in its minute, so that an event some seconds old is in the same minute."""
    return datetime.now(UTC).replace(second=45, microsecond=0)


def make_event(now: datetime, seconds_ago: float = 0.0, **fields: object) -> dict[str, object]:
    return make_event_of_unit_tests(**fields) | {"ended_ms": int((now - timedelta(seconds=seconds_ago)).timestamp() * 1_000)}


def record(store: RedisLiveStore | MemoryLiveStore, events: list[dict[str, object]], now: datetime) -> None:
    store.record(pa.Table.from_pylist(events, LIVE_SCHEMA), now)


def check_same_counts(store: RedisLiveStore, events: list[dict[str, object]], now: datetime) -> None:
    """Check that both stores count the same, with the events recorded twice in Redis and in parts."""
    expected = MemoryLiveStore()
    record(expected, events, now)
    for first in (0, 0, *range(0, len(events), 300)):
        record(store, events[first : first + 300], now)
    assert store.read(now) == expected.read(now)


@pytest.mark.parametrize("ahead", range(0, TOP_TRACKS + 2, 3))
def test_of_a_thousand_tied_tracks_the_first_by_id_are_ranked(store, now, ahead):
    chance = random.Random(ahead)
    ids = [f"t{number:04}" for number in range(990)] + [f"{letter}-é" for letter in "abcdefزÅ𝄞Z"]
    tied = [make_event(now, chance.uniform(0, 500), track_id=track) for track in ids]
    again = [make_event(now, chance.uniform(0, 500), track_id=track) for track in chance.sample(ids, ahead)]
    check_same_counts(store, chance.sample(tied + again, len(tied + again)), now)
    assert [track.plays for track in store.read(now).top_tracks] == ([2] * ahead + [1] * TOP_TRACKS)[:TOP_TRACKS]


def test_fewer_tracks_than_ranks_are_all_returned(store, now):
    check_same_counts(store, [make_event(now, track_id=track, track_name="Ääni", artist_name="نور") for track in "abca"], now)


def test_many_listeners_devices_and_types_are_counted_alike(store, now):
    chance = random.Random(3)
    events = [
        make_event(
            now, chance.uniform(-60, HORIZON_SECONDS), user_id=f"u{chance.randrange(1_500)}", event_type=kind,
            is_listen=(kind == "play" and chance.random() < 0.8) or None, device_type=chance.choice(["tv", None]),
            track_id=f"t{chance.randrange(40)}",
        )
        for kind in chance.choices(["play", "skip", "like", "playlist"], k=3_000)
    ]  # fmt: skip
    check_same_counts(store, events, now)
    assert {"tv", UNKNOWN} == set(store.read(now).minutes[-2].devices)


def test_copies_with_other_contents_are_counted_alike(store, now):
    first = make_event(now, country="DE")
    copies = [{"country": "FR"}, {"event_type": "like", "is_listen": None}, {"ended_ms": first["ended_ms"] - 30_000}]
    check_same_counts(store, [first, *(first | copy for copy in copies)], now)
    assert (store.read(now).minutes[-1].started, store.read(now).minutes[-1].countries) == (2, {"DE": 2})


def test_events_too_far_ahead_do_not_count_and_all_keys_expire(store, client, now):
    check_same_counts(store, [make_event(now, -ahead) for ahead in (0, 600, HORIZON_SECONDS + 1, 86_400)], now)
    left_s = [client.ttl(key) for key in client.scan_iter("soundlake:live:*")]
    assert min(left_s) > 0
    assert max(left_s) < 2 * HORIZON_SECONDS + 4 * 60


def test_the_mark_of_a_counted_event_takes_few_bytes(store, client, now):
    """`docs/streaming.md` uses this size. A mark of 22 letters took 76 bytes."""
    events = [make_event(now, number % 10 / 10, user_id=f"u{number}", track_id="t") for number in range(40_000)]
    record(store, events, now)
    sizes = {key: client.memory_usage(key) for key in client.scan_iter("soundlake:live:seen:*")}
    assert sum(sizes.values()) / len(events) < 16
    assert {client.object("encoding", key) for key in sizes} == {b"intset"}


def test_a_full_redis_keeps_its_counts_and_the_error_names_the_limit(store, client, now):
    before = [make_event(now, user_id=f"u{number}") for number in range(100)]
    record(store, before, now)
    client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    try:
        with pytest.raises(Unavailable, match=r"Redis is full \(maxmemory is .*[KM]\): nothing more is kept there\n→ raise maxmemory"):
            record(store, [make_event(now, event_id=str(uuid.uuid4())) for _ in range(3_000)], now)
    finally:
        client.config_set("maxmemory", "512mb")
    assert store.read(now).minutes[-1].started == len(before)
    assert client.info("stats")["evicted_keys"] == 0


def test_a_sighting_of_the_player_is_kept_expires_and_can_be_deleted(client, redis_server, now):
    store, sighting = RedisNowPlayingStore(redis_server.server.url), make_sighting(seen_at=now)
    store.write(sighting)
    assert store.read(sighting.listener, now) == sighting
    assert store.read(sighting.listener, now + KEPT_FOR) is None
    (key,) = client.keys("soundlake:now:*")
    assert 0 < client.ttl(key) <= KEPT_FOR.total_seconds()
    store.delete(sighting.listener)
    assert (store.read(sighting.listener, now), client.keys("*")) == (None, [])
    client.set(key, "{")
    assert store.read(sighting.listener, now) is None
