"""What a listener plays in this second: progress that a reader computes, and an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from soundlake.cache.now_playing import KEPT_FOR, FileNowPlayingStore, NowPlaying

NOW = datetime(2026, 2, 28, 23, 59, 50, tzinfo=UTC)


def make_sighting(**changes):
    fields = {
        "listener": "عمر/../x", "play_id": "p", "track_id": "t", "track_name": "A", "artist_name": "X", "album_name": None,
        "image_url": "https://i.scdn.co/image/1", "content_type": "track", "device_type": "mobile", "duration_ms": 200_000,
        "position_ms": 30_000, "is_playing": True, "is_stale": False, "started_at": NOW - timedelta(seconds=30), "seen_at": NOW,
    }  # fmt: skip
    return NowPlaying(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "seconds", "position"),
    [
        ({}, 0, 30_000),
        ({}, 20, 50_000),
        ({}, 500, 200_000),
        ({"is_playing": False}, 20, 30_000),
        ({"duration_ms": None}, 500, 530_000),
        ({}, -5, 30_000),
    ],
    ids=["now", "later", "past the end", "paused", "no duration", "a clock behind"],
)
def test_the_position_moves_while_it_plays_and_stops_at_the_end(changes, seconds, position):
    assert make_sighting(**changes).find_position_ms(NOW + timedelta(seconds=seconds)) == position


def test_a_sighting_is_kept_until_it_is_deleted_or_too_old(tmp_path):
    store, sighting = FileNowPlayingStore(tmp_path / "now"), make_sighting()
    store.write(make_sighting(track_name="before"))
    store.write(sighting)
    assert store.read(sighting.listener, NOW + KEPT_FOR - timedelta(seconds=1)) == sighting
    assert store.read(sighting.listener, NOW + KEPT_FOR) is None
    assert store.find_path(sighting.listener).stat().st_mode & 0o777 == 0o600
    store.delete(sighting.listener)
    store.delete(sighting.listener)
    assert list((tmp_path / "now").iterdir()) == []
    assert store.read(sighting.listener, NOW) is None


def test_an_unreadable_sighting_is_nothing(tmp_path):
    store = FileNowPlayingStore(tmp_path)
    store.find_path("a").write_text("{")
    assert store.read("a", NOW) is None
