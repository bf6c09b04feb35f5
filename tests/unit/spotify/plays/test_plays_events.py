"""What leaves the tracker: events of the contract, entries of recently-played, what the page shows."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from soundlake.contract import encode_events
from soundlake.spotify.models import Album, Artist, Context, Device, ExternalIds, PlayerState, RecentItem, RecentPage, Show, Track
from soundlake.spotify.plays import NowPlaying, Play, PlayTracker, restore_state, save_state
from soundlake.spotify.plays.current import find_current
from soundlake.spotify.plays.events import make_events
from soundlake.spotify.plays.recent import RecentState, make_recent_events, take_page
from soundlake.spotify.plays.settings import find_device_type
from soundlake.spotify.plays.songs import describe_song, is_same_recording, is_same_song

T0 = datetime(2028, 2, 29, 23, 59, tzinfo=UTC)
TRACK = Track(
    id="1" * 22, uri="spotify:track:" + "1" * 22, name="Ünïcode שיר", duration_ms=200_000, artists=(Artist(id="2" * 22, name="Artist"),),
    album=Album(id="3" * 22, name="Album"), external_ids=ExternalIds(isrc="QZXXX2600001"),
)  # fmt: skip
SONG_FIELDS = {
    "content_type": "track", "track_id": "1" * 22, "track_name": "Ünïcode שיר", "artist_id": "2" * 22, "artist_name": "Artist",
    "album_id": "3" * 22, "album_name": "Album", "duration_ms": 200_000,
}  # fmt: skip


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def playing(seconds, track=TRACK, **changes):
    return PlayerState(
        **{
            "is_playing": True,
            "item": track,
            "progress_ms": round(seconds * 1000),
            "shuffle_state": True,
            "device": Device(type="Smartphone"),
            "context": Context(uri="spotify:album:x"),
            **changes,
        }
    )


def follow(answers):
    tracker = PlayTracker("me")
    return [outcome for seconds, answer in answers for outcome in tracker.see(at(seconds), answer)]


def write(table):
    return [json.loads(line) for line in encode_events(table)]


def test_a_play_and_its_beginning_are_events_of_the_contract_over_a_leap_day():
    outcomes = follow([*((second, playing(second)) for second in range(0, 200, 5)), (200, None), (205, None), (210, None)])
    now, play = write(make_events("me", outcomes))
    common = {
        **SONG_FIELDS, "schema_version": 1, "user_id": "me", "played_at": "2028-02-29T23:59:00.000Z", "played_at_basis": "measured",
        "is_shuffle": True, "context_uri": "spotify:album:x", "device_type": "mobile", "platform": "Smartphone", "source": "spotify_live",
        "source_ref": TRACK.uri,
    }  # fmt: skip
    assert now == {**common, "event_id": outcomes[0].event_id, "event_type": "now_playing"}
    assert play == {
        **common, "event_id": outcomes[1].event_id, "event_type": "play", "ms_played": 200_000, "is_skipped": False,
        "reason_end": "trackdone", "is_private": False, "ended_at": "2028-03-01T00:02:20.000Z", "isrc": "QZXXX2600001",
    }  # fmt: skip


def test_a_skip_is_at_its_own_moment_and_names_its_play():
    other = Track(id="9" * 22, name="Other", duration_ms=100_000)
    outcomes = follow([(0, playing(0)), (5, playing(5)), (10, playing(3, other)), (15, playing(8, other))])
    _, _, play, skip = write(make_events("me", outcomes))
    assert (play["event_type"], play["is_skipped"], play["reason_end"], play["ms_played"]) == ("play", True, "fwdbtn", 7_000)
    assert (skip["event_type"], skip["source_ref"], skip["position_ms"]) == ("skip", play["event_id"], 7_000)
    assert skip["played_at"] == "2028-02-29T23:59:07.000Z"


def test_ids_are_those_of_the_account_and_the_first_answer():
    answers = [(second, playing(second)) for second in range(0, 60, 5)]
    assert follow(answers) == follow(answers)
    moved = [(seconds + 1, answer) for seconds, answer in answers]
    assert follow(answers)[0].event_id != follow(moved)[0].event_id


def test_no_outcome_is_no_event():
    assert len(make_events("me", [])) == 0


def test_a_local_file_has_no_id_and_empty_names_are_null():
    local = Track(uri="spotify:local:::Title:184", name="Title", duration_ms=184_000, is_local=True, artists=(Artist(),), album=Album())
    song = describe_song(local)
    assert (song.id, song.artist_name, song.album_name, song.name) == (None, None, None, "Title")
    assert not is_same_song(song, describe_song(Track(uri="spotify:local:::Other:184", name="Other", duration_ms=184_000)))


def test_episodes_and_chapters_are_named_by_their_collection():
    episode = describe_song(Track(id="e", type="episode", name="One", show=Show(id="s", name="Show")))
    chapter = describe_song(Track(id="c", type="episode", name="I", audiobook=Show(id="b", name="Book")))
    assert (episode.content_type, episode.artist_name, episode.artist_id) == ("episode", "Show", "s")
    assert (chapter.content_type, chapter.artist_name) == ("chapter", "Book")
    assert describe_song(Track(id="x", type="hologram")).content_type is None


def test_one_recording_has_several_ids():
    named = [("Song - Acoustic", 180_000), ("Song (Acoustic)", 180_400), ("Song (Live)", 180_000), ("Song - Acoustic!", 190_000)]
    songs = [describe_song(Track(id=name, name=name, duration_ms=ms, artists=(Artist(name="A"),))) for name, ms in named]
    assert [is_same_recording(songs[0], song) for song in songs] == [True, True, False, False]


@pytest.mark.parametrize(("platform", "device"), [
    ("Computer", "desktop"), ("CastAudio", "speaker"), ("Automobile", "car"), ("Toaster", "other"), ("Unknown", None), (None, None),
])  # fmt: skip
def test_the_device_type_is_the_contracts(platform, device):
    assert find_device_type(platform) == device


def test_the_page_shows_the_position_of_now_and_nothing_after_the_end():
    tracker = PlayTracker("me")
    for second in range(0, 60, 5):
        tracker.see(at(second), playing(second))
    now = find_current(tracker.state, at(58.5))
    assert (now.position_ms, now.is_playing, now.is_stale, now.setting.device_type) == (58_500, True, False, "mobile")
    assert find_current(tracker.state, at(215)).is_stale
    assert find_current(tracker.state, at(230)) is None


def test_the_page_shows_nothing_in_a_private_session_and_after_three_empty_answers():
    tracker = PlayTracker("me")
    tracker.see(at(0), playing(0))
    tracker.see(at(5), None)
    assert find_current(tracker.state, at(5)).is_stale
    tracker.see(at(10), None)
    tracker.see(at(15), None)
    assert find_current(tracker.state, at(15)) is None
    tracker.see(at(20), playing(20))
    tracker.see(at(25), playing(25, device=Device(is_private_session=True)))
    assert find_current(tracker.state, at(25)) is None


def test_nothing_of_a_private_session_is_in_the_state():
    tracker = PlayTracker("me")
    outcomes = tracker.see(at(0), playing(0, Track(id="p", name="secret", duration_ms=1_000_000), device=Device(is_private_session=True)))
    assert outcomes == []
    assert b"secret" not in save_state(tracker.state)


def test_a_clock_that_is_set_back_neither_loses_nor_doubles():
    tracker = PlayTracker("me")
    outcomes = []
    for second in range(0, 200, 5):
        outcomes += tracker.see(at(second - 3600 if second >= 100 else second), playing(second))
    for second in (200, 205, 210):
        outcomes += tracker.see(at(second - 3600), None)
    [play] = [outcome for outcome in outcomes if isinstance(outcome, Play)]
    assert play.ms_played == 200_000


def test_a_state_is_saved_and_restored_exactly():
    tracker = PlayTracker("me")
    for second in range(0, 30, 5):
        tracker.see(at(second), playing(second))
    tracker.see(at(30), playing(0, Track(id="9" * 22, name="Other", duration_ms=100_000)))
    assert restore_state(save_state(tracker.state)) == tracker.state


def test_the_change_of_a_song_is_known_with_its_first_answer():
    outcomes = follow([(0, playing(0)), (5, playing(2, Track(id="9" * 22, name="Other", duration_ms=100_000)))])
    assert [outcome.song.name for outcome in outcomes if isinstance(outcome, NowPlaying)] == [TRACK.name, "Other"]


def entries(*stamps):
    return RecentPage(tuple(RecentItem(TRACK, at(stamp), Context(uri="spotify:playlist:y")) for stamp in stamps))


def test_an_entry_of_recently_played_is_one_event_whenever_it_is_fetched():
    state = RecentState()
    first = take_page("me", state, entries(200, 100))
    again = take_page("me", state, entries(300, 200, 100))
    assert [play.played_at_ms % 1_000_000 for play in first.plays] == sorted(play.played_at_ms % 1_000_000 for play in first.plays)
    assert (len(first.plays), len(again.plays)) == (2, 1)
    rows = write(make_recent_events("me", first.plays))
    assert rows[0] == {
        **SONG_FIELDS, "event_id": first.plays[0].event_id, "event_type": "play", "schema_version": 1, "user_id": "me",
        "source": "spotify_recent", "played_at": "2028-03-01T00:00:40.000Z", "played_at_basis": "reported", "source_ref": TRACK.uri,
        "context_uri": "spotify:playlist:y", "isrc": "QZXXX2600001",
    }  # fmt: skip
    assert take_page("me", RecentState(), entries(100)).plays[0] == first.plays[0]
    assert take_page("you", RecentState(), entries(100)).plays[0].event_id != first.plays[0].event_id


def test_a_full_page_that_shares_nothing_leaves_a_gap():
    state = RecentState()
    assert take_page("me", state, entries(*range(50))).gap is None  # nothing was stored before
    gap = take_page("me", state, entries(*range(1000, 1050))).gap
    assert (gap.to_ms - gap.from_ms) == 951_000
    assert take_page("me", state, entries(*range(2000, 2049))).gap is None
    assert take_page("me", state, entries(*range(1050, 1100))).gap is None  # late ones: nothing is missing before the newest
