"""Our client and spotipy, the usual one, make the same calls to the same fake and read the same things."""

from __future__ import annotations

from datetime import datetime

import pytest
import requests
from tests.spotify_home import T0_MS, TRACK, run
from tests.spotify_processes import serve

from soundlake.spotify.fake import write_timeline

spotipy = pytest.importorskip("spotipy")


@pytest.fixture
def compare(tmp_path):
    """Make one call with both clients, 70 seconds into the song after the first; what each read, and the requests that each made."""

    def compare(ours, theirs):
        async def main(home):
            listed = [("A", float(second)) for second in range(60)]  # more than an answer holds
            home.fake.add_account(write_timeline("anna", T0_MS, {"A": TRACK}, [{"run": [0, 86_400, "A", 0]}], recent=listed))
            client = home.connect("anna")
            await home.clock.sleep(270)
            begun = len(home.fake.calls)
            mine = await ours(client)
            between = len(home.fake.calls)
            with serve(home.fake) as url, requests.Session() as session:  # without a session of its own a 429 makes spotipy sleep
                other = spotipy.Spotify(auth=home.tokens.get(client.account), requests_session=session, retries=0)
                other.prefix = f"{url}/v1/"
                given = theirs(other)
            calls = [call.path for call in home.fake.calls]
            assert calls[begun:between] == [path for path in calls[between:] if path.startswith("/v1")]
            return mine, given

        return run(tmp_path, main)

    return compare


def test_the_profile_is_the_same(compare):
    mine, other = compare(lambda client: client.get_profile(), lambda spotify: spotify.me())
    assert (mine.id, mine.account_id, mine.display_name) == (other["id"], other["account_id"], other["display_name"])


def test_the_player_is_the_same(compare):
    mine, other = compare(lambda client: client.get_player(), lambda spotify: spotify.current_playback(additional_types="track,episode"))
    state = mine.state
    assert (state.is_playing, state.progress_ms, state.timestamp_ms) == (other["is_playing"], other["progress_ms"], other["timestamp"])
    assert (state.shuffle_state, state.repeat_state) == (other["shuffle_state"], other["repeat_state"])
    assert (state.device.type, state.device.is_private_session) == (other["device"]["type"], other["device"]["is_private_session"])
    assert_same_track(state.item, other["item"])


def test_what_plays_is_the_same(compare):
    mine, other = compare(
        lambda client: client.get_currently_playing(), lambda spotify: spotify.currently_playing(additional_types="track,episode")
    )
    assert mine.state.progress_ms == other["progress_ms"]
    assert_same_track(mine.state.item, other["item"])


def test_the_history_is_the_same(compare):
    mine, other = compare(lambda client: client.get_recently_played(), lambda spotify: spotify.current_user_recently_played(limit=50))
    assert mine.entries == len(other["items"]) == 50
    for item, entry in zip(mine.items, other["items"], strict=True):
        assert item.played_at == datetime.fromisoformat(entry["played_at"])
        assert_same_track(item.track, entry["track"])


def test_the_details_are_the_same(compare):
    def ask(spotify):
        track = spotify.track(TRACK.id)
        return track, spotify.artist(track["artists"][0]["id"]), spotify.album(track["album"]["id"])

    mine, (track, artist, album) = compare(lambda client: client.get_track_details(TRACK.id), ask)
    assert_same_track(mine.track, track)
    assert (mine.artist.id, mine.artist.name, list(mine.artist.genres)) == (artist["id"], artist["name"], artist.get("genres", []))
    assert (mine.album.id, mine.album.name, mine.album.release_date) == (album["id"], album["name"], album["release_date"])


def assert_same_track(mine, other):
    """Every field that both know."""
    assert (mine.id, mine.uri, mine.name, mine.duration_ms) == (other["id"], other["uri"], other["name"], other["duration_ms"])
    assert [artist.name for artist in mine.artists] == [artist["name"] for artist in other["artists"]]
    assert (mine.album.id, mine.isrc, mine.explicit) == (other["album"]["id"], other["external_ids"].get("isrc"), other["explicit"])
    assert [image.url for image in mine.album.images] == [image["url"] for image in other["album"]["images"]]
