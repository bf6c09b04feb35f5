import json
from datetime import UTC, datetime
from uuid import uuid5

import pytest
from history_rows import NOW, make_extended, make_short, read, read_one

from soundlake.contract.ids import make_namespace
from soundlake.history.spotify_short import ShortRows


def test_a_song_becomes_a_play_with_an_end_to_the_minute():
    event = read_one(make_short())
    assert {name: value for name, value in event.items() if value is not None} == {
        "event_id": event["event_id"], "event_type": "play", "schema_version": 1, "user_id": "anna",
        "played_at": datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), "played_at_basis": "derived_from_end",
        "track_name": "Ode", "artist_name": "The Lanterns", "ms_played": 61_000, "source": "spotify_export",
        "source_ref": "short:2024-03-01T00:01:00Z",
    }  # fmt: skip


def test_a_row_of_the_podcast_file_is_an_episode():
    event = read_one({"endTime": "2024-03-01 00:01", "podcastName": "The Show", "episodeName": "One", "msPlayed": 5})
    assert (event["content_type"], event["track_name"], event["artist_name"]) == ("episode", "One", "The Show")


def test_the_same_play_in_the_music_and_the_podcast_file_has_one_id():
    told = read_one({"endTime": "2024-03-01 00:01", "podcastName": "The Show", "episodeName": "One", "msPlayed": 5})
    untold = read_one({"endTime": "2024-03-01 00:01", "artistName": "The Show", "trackName": "One", "msPlayed": 5})
    assert told["event_id"] == untold["event_id"]
    assert untold["content_type"] is None


def test_equal_rows_of_one_file_are_several_plays_and_the_same_ones_in_another_file():
    once, twice = read([make_short()]), read([make_short(), make_extended(), make_short()])
    ids = twice.events["event_id"].to_pylist()
    assert len(set(ids)) == 3
    assert once.events["event_id"].to_pylist()[0] in ids


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"artistName": None}, "names_nothing"),
        ({"trackName": ""}, "names_nothing"),
        ({"msPlayed": None}, "bad_ms_played"),
        ({"msPlayed": -1}, "bad_ms_played"),
        ({"endTime": "2024-03-01 25:01"}, "bad_end_time"),
        ({"endTime": None}, "bad_end_time"),
        ({"endTime": "1999-12-31 23:59"}, "played_at_out_of_range"),
    ],
    ids=str,
)
def test_a_row_that_is_not_a_play_is_refused_with_its_reason(changes, reason):
    result = read([make_short(), make_short(**changes)])
    assert [refused.reason for refused in result.refused] == [reason]
    assert result.events.num_rows == 1


def test_one_invalid_time_does_not_change_how_the_others_are_read():
    times = ["2024-03-01 00:01", "2024-12-31 23:59", "2024-02-29 00:00"]
    alone = read([make_short(endTime=time) for time in times]).events
    beside = read([make_short(endTime=time) for time in [*times, "never"]]).events
    assert beside.equals(alone)


def test_a_second_name_is_kept_in_extra():
    row = make_short(podcastName="A Show", episodeName="")
    assert json.loads(read_one(row)["extra"]) == {"podcastName": "A Show"}
    assert read_one(make_short(podcastName=row["artistName"]))["extra"] is None


def test_unknown_fields_are_kept_in_extra():
    assert json.loads(read_one(make_short(mood="calm", nothing=None))["extra"]) == {"mood": "calm"}


CHAPTER = {"endTime": "2024-03-01 00:01", "authorName": "F. Grey", "audiobookName": "The Mill", "chapterName": "One", "msPlayed": 5}


def test_a_row_of_the_audiobook_file_is_a_chapter_and_its_author_is_kept():
    event = read_one(CHAPTER)
    assert (event["content_type"], event["track_name"], event["artist_name"]) == ("chapter", "One", "The Mill")
    assert json.loads(event["extra"]) == {"authorName": "F. Grey"}


def test_a_row_of_2018_has_a_time_to_the_second_and_no_length():
    event = read_one({"time": "2018-05-11 15:40:38", "artistName": "The Lanterns", "trackName": "Ode"})
    assert (event["played_at"], event["played_at_basis"]) == (datetime(2018, 5, 11, 15, 40, 38, tzinfo=UTC), "reported")
    assert (event["ms_played"], event["source_ref"], event["extra"]) == (None, "short:2018-05-11T15:40:38Z", None)


def test_the_id_of_a_row_is_that_of_its_values_as_it_was_from_the_beginning():
    values = '[["anna","2024-03-01 00:01","The Lanterns","Ode",61000],%d]'
    expected = [str(uuid5(make_namespace("spotify_export"), values % ordinal)) for ordinal in (0, 1)]
    assert read([make_short()] * 2).events["event_id"].to_pylist() == expected


@pytest.mark.parametrize("changes", [{"endTime": "2024-03-01T00:01:00.000Z"}, {"endTime": 1709251260}, {"msPlayed": 61_000.0}], ids=str)
def test_a_row_that_a_program_saved_again_has_the_same_id(changes):
    assert read_one(make_short(**changes))["event_id"] == read_one(make_short())["event_id"]


def test_ordinals_are_those_of_the_file_not_of_a_part():
    rows = ShortRows("anna", NOW)
    parts = [rows.read([make_short()]).events["event_id"].to_pylist() for _ in range(2)]
    assert parts[0] + parts[1] == read([make_short()] * 2).events["event_id"].to_pylist()
