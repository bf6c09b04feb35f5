"""Answers of the Web API: odd members cost themselves only."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from soundlake.spotify.answers import UnreadableAnswer, decode_object, read_answer, read_recent_page
from soundlake.spotify.models import Device, Image, PlayerState, Track


def test_a_member_of_an_unexpected_kind_counts_as_missing() -> None:
    state = read_answer(
        PlayerState,
        {
            "is_playing": True,
            "progress_ms": 1500.5,
            "timestamp": 1491302708055,
            "shuffle_state": "smart",
            "device": {"id": None, "name": 5, "type": "Holodeck", "volume_percent": "loud"},
            "item": {
                "id": "t",
                "artists": [None, {"name": "a"}, "b"],
                "album": "x",
                "duration_ms": 204053.0,
                "images": [{"url": None}, {"url": "u"}],
            },
            "new": {"deep": [{}]},
        },
    )
    assert state.item is not None
    assert (state.progress_ms, state.timestamp_ms, state.shuffle_state) == (1500, 1491302708055, None)
    assert state.device == Device(type="Holodeck")
    assert [artist.name for artist in state.item.artists] == ["a"]
    assert (state.item.album, state.item.duration_ms, state.item.images) == (None, 204053, (Image("u"),))


@pytest.mark.parametrize("value", [{}, {"item": None, "device": None, "context": None, "progress_ms": None}], ids=["empty", "nulls"])
def test_an_answer_without_anything_is_a_state_without_anything(value: dict[str, object]) -> None:
    assert read_answer(PlayerState, value) == PlayerState()


def test_an_empty_text_is_null() -> None:
    assert read_answer(Track, {"name": "", "id": None, "uri": "spotify:local:::t:1"}) == Track(uri="spotify:local:::t:1")


def test_one_bad_entry_of_recently_played_costs_no_other() -> None:
    track = {"id": "a", "name": "A"}
    page = read_recent_page(
        {
            "items": [
                {"track": track, "played_at": "2026-01-01T20:03:20Z"},
                {"track": None, "played_at": "2026-01-01T20:03:20.000Z"},
                {"track": track, "played_at": None},
                None,
                {"track": track, "played_at": "2026-01-01T20:03:20"},
                {"track": track, "played_at": "2026-01-01T20:03:20.120Z", "context": "x"},
            ],
            "cursors": None,
        }
    )
    assert [item.played_at for item in page.items] == [datetime(2026, 1, 1, 20, 3, 20, ms * 1000, tzinfo=UTC) for ms in (0, 120)]
    assert (page.unreadable, page.entries) == (4, 6)


@pytest.mark.parametrize("value", [{}, {"items": []}, {"items": None, "cursors": None}, {"items": "x"}])
def test_a_page_without_items_is_empty(value: dict[str, object]) -> None:
    assert read_recent_page(value).entries == 0


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"[1]", b"null", b'{"a": ', b"Too many requests"])
def test_what_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        decode_object(body)
