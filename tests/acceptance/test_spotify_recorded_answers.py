"""Real answers of the Web API, recorded from 2015 to 2023."""

from __future__ import annotations

import orjson
import pytest

from soundlake.spotify.answers import decode_object, read_answer, read_recent_page
from soundlake.spotify.models import PlayerState, Track


@pytest.fixture
def read_sample(shared):
    folder = shared / "data" / "spotify-api-samples" / "zmb3-spotify"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    return lambda name: decode_object((folder / f"{name}.json").read_bytes())


def test_recently_played_of_2017_is_read_whole(read_sample):
    page = read_recent_page(read_sample("player_recently_played"))
    assert (len(page.items), page.unreadable) == (20, 0)
    newest = page.items[0]
    assert (newest.track.name, newest.track.artists[0].name, newest.track.isrc) == ("The Sound Of Silence", "Disturbed", "USRE11500180")
    assert newest.played_at.isoformat() == "2017-05-27T20:07:54.721000+00:00"
    assert page.items == tuple(sorted(page.items, key=lambda item: item.played_at, reverse=True))


def test_the_players_states_are_read(read_sample):
    state = read_answer(PlayerState, read_sample("player_state"))
    assert (state.is_playing, state.progress_ms, state.shuffle_state, state.device.type) == (False, 102_509, True, "Smartphone")
    assert (state.item.name, state.item.duration_ms, state.item.album.images[0].width) == ("Bubbly", 196_226, 640)
    playing = read_answer(PlayerState, read_sample("player_currently_playing"))
    assert (playing.device, playing.currently_playing_type, bool(playing.item.name)) == (None, None, True)


def test_numbers_with_a_fraction_are_whole(read_sample):
    track = read_answer(Track, read_sample("find_track_with_floats"))
    assert (track.duration_ms, track.disc_number, track.album.images[0].height) == (204_053, 1, 640)


@pytest.mark.parametrize("name", ["current_users_tracks", "playlist_items_episodes_and_tracks"])
def test_tracks_and_episodes_of_lists_are_read(read_sample, name):
    entries = [entry["track"] for entry in read_sample(name)["items"]]
    kinds = [(track.type, bool(track.id), bool(track.show or track.album)) for track in (read_answer(Track, entry) for entry in entries)]
    assert set(kinds) <= {("track", True, True), ("episode", True, True)}
    assert kinds


def test_every_track_of_every_sample_is_read_without_loss(read_sample):
    read = 0
    for name in ("artist_top_tracks", "current_users_top_tracks", "find_tracks_notfound", "get_queue"):
        sample = read_sample(name)
        for entry in sample.get("tracks") or sample.get("items") or sample["queue"]:
            if entry is not None:
                before = orjson.loads(orjson.dumps(entry))
                assert read_answer(Track, entry).name == before["name"]
                assert entry == before
                read += 1
    assert read > 30
