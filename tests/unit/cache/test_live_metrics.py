"""What live metrics count; the result does not depend on repeats and on the order of events."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from soundlake.cache import LIVE_SCHEMA, LiveMetrics, LiveWindow, MemoryLiveStore
from soundlake.cache.live_metrics import HORIZON_SECONDS, TOP_TRACKS

NOW = datetime(2026, 12, 31, 23, 59, 55, tzinfo=UTC)


def make_event(seconds_ago: float = 0.0, **fields: object) -> dict[str, object]:
    ended_ms = int((NOW - timedelta(seconds=seconds_ago)).timestamp() * 1_000)
    play = {
        "event_id": str(uuid.uuid4()),
        "event_type": "play",
        "ended_ms": ended_ms,
        "user_id": "ana",
        "track_id": "t1",
        "is_listen": True,
    }
    return {name: (play | fields).get(name) for name in LIVE_SCHEMA.names}


def count(*events: dict[str, object], now: datetime = NOW) -> LiveMetrics:
    store = MemoryLiveStore()
    store.record(pa.Table.from_pylist(list(events), LIVE_SCHEMA), NOW)
    return store.read(now)


def last_minute(metrics: LiveMetrics) -> LiveWindow:
    return metrics.minutes[-1]


def test_a_play_counts_in_the_ten_seconds_and_the_minute_in_which_it_ended():
    metrics = count(make_event(0), make_event(20, is_listen=False), make_event(70))
    assert (last_minute(metrics).started, last_minute(metrics).plays) == (2, 1)
    assert [window.started for window in metrics.short[-3:]] == [1, 0, 1]
    assert [window.started for window in metrics.minutes[-2:]] == [1, 2]


def test_other_events_are_counted_by_type_and_make_their_listener_active():
    others = [make_event(user_id=kind, event_type=kind, is_listen=None) for kind in ("skip", "like", "playlist")]
    window = last_minute(count(*others, make_event()))
    assert (window.started, window.skips, window.likes, window.playlist_changes, window.listeners) == (1, 1, 1, 1, 4)


def test_devices_and_countries_count_listens_and_null_as_unknown():
    window = last_minute(count(make_event(device_type="tv", country="DE"), make_event(), make_event(device_type="tv", is_listen=False)))
    assert (window.devices, window.countries) == ({"tv": 1, "unknown": 1}, {"DE": 1, "unknown": 1})


def test_a_repeated_event_counts_once():
    event = make_event()
    assert last_minute(count(event, event, event)).started == 1


def test_of_copies_in_one_window_the_first_recorded_one_counts():
    event = make_event(country="DE")
    assert last_minute(count(event, event | {"country": "FR"})).countries == {"DE": 1}


def test_copies_with_different_ends_count_each_in_its_window():
    now, before = make_event(0), make_event(30)
    assert last_minute(count(now, before | {"event_id": now["event_id"]})).started == 2


def test_a_play_and_a_like_of_one_id_are_two_events():
    event = make_event()
    window = last_minute(count(event, event | {"event_type": "like", "is_listen": None}))
    assert (window.started, window.likes, window.listeners) == (1, 1, 1)


def test_a_late_event_updates_its_minute_until_the_horizon():
    metrics = count(make_event(HORIZON_SECONDS - 60), make_event(HORIZON_SECONDS + 60))
    assert [window.started for window in metrics.minutes] == [1, *[0] * (HORIZON_SECONDS // 60 - 1)]


def test_an_event_of_the_future_counts_once_its_window_is_shown():
    ahead = make_event(-600)
    assert sum(window.started for window in count(ahead).minutes) == 0
    assert last_minute(count(ahead, now=NOW + timedelta(minutes=10))).started == 1


def test_an_event_further_ahead_than_the_horizon_never_counts():
    ahead = make_event(-HORIZON_SECONDS - 1)
    assert last_minute(count(ahead, now=NOW + timedelta(seconds=HORIZON_SECONDS + 1))).started == 0


def test_the_top_tracks_are_those_of_ten_minutes_with_ties_in_order_of_their_ids():
    plays = [make_event(track_id=f"t{number:02}", track_name="Ääni", artist_name="نور") for number in reversed(range(12))]
    metrics = count(*plays, make_event(30, track_id="t11"), *[make_event(660, track_id="old") for _ in range(5)])
    assert [track.track_id for track in metrics.top_tracks] == ["t11", *[f"t{number:02}" for number in range(TOP_TRACKS - 1)]]
    assert (metrics.top_tracks[0].plays, metrics.top_tracks[1].track_name, metrics.top_tracks[1].artist_name) == (2, "Ääni", "نور")


def test_without_events_there_are_fifteen_empty_minutes():
    metrics = count()
    assert [window.started for window in metrics.minutes] == [0] * 15
    assert metrics.top_tracks == ()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_batches_does_not_matter(seed):
    chance = random.Random(seed)
    events = [make_event(chance.uniform(0, 900), user_id=f"u{chance.randrange(9)}", track_id=f"t{chance.randrange(5)}") for _ in range(80)]
    batches = [events[start : start + 20] for start in range(0, 80, 10)]
    stores = (MemoryLiveStore(), MemoryLiveStore())
    for store in stores:
        chance.shuffle(batches)
        for batch in batches:
            store.record(pa.Table.from_pylist(batch, LIVE_SCHEMA), NOW)
    assert stores[0].read(NOW) == stores[1].read(NOW) == count(*events)
