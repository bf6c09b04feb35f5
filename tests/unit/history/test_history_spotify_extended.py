import json
from datetime import UTC, datetime
from uuid import uuid5

import pytest
from history_rows import make_episode, make_extended, read, read_one

from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.ids import make_namespace


def test_a_track_row_becomes_a_play_in_the_contracts_fields():
    event = read_one(make_extended())
    assert {name: value for name, value in event.items() if value is not None} == {
        "event_id": event["event_id"], "event_type": "play", "schema_version": 1, "user_id": "anna",
        "played_at": datetime(2024, 2, 29, 23, 58, 30, tzinfo=UTC), "played_at_basis": "derived_from_end", "content_type": "track",
        "track_id": "4asjU3sDnn3002bTJIg2vZ", "track_name": "Ode", "artist_name": "The Lanterns", "album_name": "Nights",
        "ms_played": 60_000, "reason_start": "clickrow", "reason_end": "trackdone", "is_shuffle": True, "is_offline": False,
        "is_private": False, "device_type": "mobile", "platform": "Android OS 12 API 32 (Google, Pixel 5a)", "country": "DE",
        "source": "spotify_export", "source_ref": "extended:2024-02-29T23:59:30Z", "extra": '{"offline_timestamp":1709251110123}',
    }  # fmt: skip


def test_the_columns_are_the_contracts_for_an_empty_file_too():
    assert read([]).events.schema == EVENT_SCHEMA
    assert read([make_extended()]).events.schema == EVENT_SCHEMA


def test_an_episode_is_in_the_same_fields():
    event = read_one(make_episode())
    assert (event["content_type"], event["track_name"], event["artist_name"]) == ("episode", "One", "The Show")
    assert (event["track_id"], event["album_name"]) == ("27Wx3KFN0Bf6D5aatOQEAG", None)


def test_a_chapter_is_in_the_same_fields_and_the_uri_of_its_book_is_kept():
    row = make_episode(
        episode_name=None, episode_show_name=None, spotify_episode_uri=None, audiobook_title="The Book", audiobook_uri="spotify:show:abc",
        audiobook_chapter_uri="spotify:episode:def", audiobook_chapter_title="Chapter 1",
    )  # fmt: skip
    event = read_one(row)
    assert (event["content_type"], event["track_name"], event["artist_name"], event["track_id"]) == (
        "chapter",
        "Chapter 1",
        "The Book",
        "def",
    )
    assert json.loads(event["extra"])["audiobook_uri"] == "spotify:show:abc"


@pytest.mark.parametrize("skipped", [True, False, None])
def test_skipped_is_kept_as_true_false_or_unknown(skipped):
    assert read_one(make_extended(skipped=skipped))["is_skipped"] is skipped


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"conn_country": "ZZ"}, "country", None),
        ({"reason_start": ""}, "reason_start", None),
        ({"reason_end": None}, "reason_end", None),
        ({"reason_start": "click-row"}, "reason_start", "click-row"),
        ({"ms_played": 0}, "ms_played", 0),
        ({"ms_played": 1500.0}, "ms_played", 1500),
        ({"incognito_mode": True}, "is_private", True),
        ({"shuffle": "yes"}, "is_shuffle", None),
        ({"platform": "cast"}, "device_type", None),
        ({"master_metadata_track_name": "أغنية الليل"}, "track_name", "أغنية الليل"),
    ],
    ids=str,
)
def test_unusual_values_of_real_files_are_read(changes, field, value):
    assert read_one(make_extended(**changes))[field] == value


@pytest.mark.parametrize(
    ("changes", "extra"),
    [
        ({"offline_timestamp": 0}, None),
        ({"offline_timestamp": None}, None),
        ({"offline_timestamp": 1722614450}, {"offline_timestamp": 1722614450}),
        ({"offline_timestamp": 0, "new_field": {"a": [1]}}, {"new_field": {"a": [1]}}),
        ({"offline_timestamp": 0, "shuffle": "yes"}, {"shuffle": "yes"}),
        ({"offline_timestamp": 0, "episode_name": "Heard too"}, {"episode_name": "Heard too"}),
        ({"offline_timestamp": 0, "spotify_track_uri": "spotify:local:a:b:c:180"}, {"spotify_track_uri": "spotify:local:a:b:c:180"}),
        ({"offline_timestamp": 0, "ts": "2024-03-01T00:59:30+01:00"}, {"ts": "2024-03-01T00:59:30+01:00"}),
    ],
    ids=str,
)
def test_values_without_a_field_are_kept_in_extra(changes, extra):
    found = read_one(make_extended(**changes))["extra"]
    assert (found and json.loads(found)) == extra


def test_a_local_file_has_names_and_no_id():
    event = read_one(make_extended(spotify_track_uri="spotify:local:a:b:c:180"))
    assert (event["track_id"], event["track_name"]) == (None, "Ode")


def test_a_row_with_only_a_uri_is_a_play():
    event = read_one(make_extended(master_metadata_track_name=None, master_metadata_album_artist_name=""))
    assert (event["track_id"], event["track_name"], event["artist_name"]) == ("4asjU3sDnn3002bTJIg2vZ", None, None)


def test_address_browser_and_account_are_not_stored():
    row = make_extended(ip_addr_decrypted="192.0.2.8", username="secret-name", user_agent_decrypted="secret-agent", city="secret-city")
    result = read([row, row | {"ms_played": None}])
    stored = f"{result.events.to_pylist()} {result.refused}"
    assert "192.0.2" not in stored
    assert "secret" not in stored


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spotify_track_uri": None, "master_metadata_track_name": None}, "names_nothing"),
        ({"spotify_track_uri": "", "master_metadata_album_artist_name": ""}, "names_nothing"),
        ({"spotify_track_uri": 7, "master_metadata_track_name": ["Ode"]}, "names_nothing"),
        ({"spotify_track_uri": None, "master_metadata_track_name": None, "ms_played": None}, "names_nothing"),
        ({"ms_played": None}, "bad_ms_played"),
        ({"ms_played": -1}, "bad_ms_played"),
        ({"ms_played": "sixty"}, "bad_ms_played"),
        ({"ms_played": True}, "bad_ms_played"),
        ({"ms_played": 0.5}, "bad_ms_played"),
        ({"ms_played": 2**70}, "bad_ms_played"),
        ({"ts": "yesterday"}, "bad_ts"),
        ({"ts": None}, "bad_ts"),
        ({"ts": True}, "bad_ts"),
        ({"ts": float("nan")}, "bad_ts"),
        ({"ts": "2023-02-29T10:00:00Z"}, "bad_ts"),
        ({"ts": "1970-01-01T00:00:00Z"}, "played_at_out_of_range"),
        ({"ts": "1999-12-31T23:59:59Z"}, "played_at_out_of_range"),
        ({"ts": "2025-06-03T00:00:00Z"}, "played_at_out_of_range"),
    ],
    ids=str,
)
def test_a_row_that_is_not_a_play_is_refused_with_its_reason_and_the_others_are_read(changes, reason):
    result = read([make_extended(), make_extended(**changes), make_extended(ts="2024-03-01T10:00:00Z")])
    assert [refused.reason for refused in result.refused] == [reason]
    assert result.events.num_rows == 2
    assert result.rows_read == 3


@pytest.mark.parametrize("ms_played", [10**12, 2**62])
def test_a_length_that_reaches_before_2000_makes_the_end_the_time_of_the_play(ms_played):
    event = read_one(make_extended(ts="2024-03-01T10:00:00Z", ms_played=ms_played))
    assert event["played_at"] == datetime(2024, 3, 1, 10, tzinfo=UTC)
    assert (event["played_at_basis"], event["ms_played"]) == ("reported", ms_played)
    assert read_one(make_extended(ms_played=0, offline_timestamp=0))["played_at_basis"] == "derived_from_end"


def test_the_older_format_of_ts_gives_the_same_play():
    old, new = read_one(make_extended(ts="2019-05-30 13:42:29 UTC")), read_one(make_extended(ts="2019-05-30T13:42:29Z"))
    assert json.loads(old["extra"])["ts"] == "2019-05-30 13:42:29 UTC"
    assert old | {"extra": None} == new | {"extra": None}


def test_plays_at_the_limits_of_time_are_not_refused():
    result = read([make_extended(ts="2000-01-01T00:01:00Z"), make_extended(ts="2025-06-02T12:01:00Z")])
    assert not result.refused


def test_a_refused_row_is_kept_unchanged():
    row = make_extended(ms_played=-5, new_field="x")
    (refused,) = read([row]).refused
    assert refused.row == {name: value for name, value in row.items() if name not in {"username", "ip_addr", "user_agent_decrypted"}}


@pytest.mark.parametrize("row", [{}, {"a": 1}, "text", None, [1]], ids=str)
def test_a_row_of_unknown_shape_is_refused(row):
    assert [refused.reason for refused in read([row]).refused] == ["unknown_shape"]


def ids_of(*rows, user_id="anna"):
    return read(rows, user_id=user_id).events["event_id"].to_pylist()


def test_the_id_does_not_depend_on_fields_that_other_generations_lack():
    row = make_extended()
    newer = {name: value for name, value in row.items() if name not in {"username", "user_agent_decrypted"}} | {"audiobook_uri": None}
    assert ids_of(row) == ids_of(newer)


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_reason_is_the_same_as_a_missing_one(empty):
    row = make_extended(reason_start=empty)
    missing = {name: value for name, value in row.items() if name != "reason_start"}
    assert ids_of(row) == ids_of(missing)


@pytest.mark.parametrize(
    "changes",
    [
        {"ts": "2024-02-29T23:59:31Z"}, {"ms_played": 60_001}, {"reason_start": "fwdbtn"}, {"reason_end": "fwdbtn"},
        {"spotify_track_uri": "spotify:track:0hjif67e3mBkrPIlRDXHLS"},
    ],
    ids=str,
)  # fmt: skip
def test_each_part_of_the_natural_key_makes_another_play(changes):
    assert len(set(ids_of(make_extended(), make_extended(**changes)))) == 2


def test_the_same_play_of_two_listeners_is_two_plays():
    assert ids_of(make_extended(), user_id="anna") != ids_of(make_extended(), user_id="ben")


def test_without_a_uri_the_names_are_the_key():
    row = make_extended(spotify_track_uri=None)
    assert len(set(ids_of(row, row, row | {"master_metadata_track_name": "Other"}))) == 2


def test_the_id_of_a_row_is_that_of_its_values_as_it_was_from_the_beginning():
    key = '["anna","2024-02-29T23:59:30Z","spotify:track:4asjU3sDnn3002bTJIg2vZ",60000,"clickrow","trackdone"]'
    named = '["anna","2024-02-29T23:59:30Z","The Lanterns\\tOde",60000,"clickrow","trackdone"]'
    expected = [str(uuid5(make_namespace("spotify_export"), text)) for text in (key, named)]
    assert ids_of(make_extended(), make_extended(spotify_track_uri=None)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"ts": "2024-02-29T23:59:30.000Z"}, {"ts": "2024-03-01T00:59:30+01:00"},
        {"ts": "2024-02-29 23:59:30"}, {"ts": "2024-02-29T23:59:30"},
        {"ts": "2024-02-29 23:59:30 UTC"}, {"ts": 1709251170}, {"ts": 1709251170000}, {"ts": "1709251170"}, {"ts": 1709251170.0},
        {"ts": "2024-02-29T23:59:30z"}, {"ts": " 2024-02-29T23:59:30Z "}, {"ts": "1.70925117e9"},
        {"ms_played": 60_000.0}, {"ms_played": "60000"}, {"ms_played": "60000.0"}, {"ms_played": " 60000 "},
        {"ms_played": "6e4"}, {"reason_end": "trackdone "},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_a_program_saved_again_has_the_same_id_beside_rows_in_the_first_form(changes):
    row, other = make_extended(), make_extended(ts="2024-03-02T10:00:00Z")
    assert ids_of(row | changes, other) == ids_of(row, other)
    assert ids_of(*[row | changes] * 2) == ids_of(row) * 2


def test_composed_and_decomposed_names_have_one_id():
    rows = [make_extended(spotify_track_uri=None, master_metadata_track_name=name) for name in ("Beyl\u00e1 ", "Beyla\u0301")]
    assert len(set(ids_of(*rows))) == 1


def test_a_fraction_of_a_second_is_part_of_the_id():
    times = ("2024-02-29T23:59:30.5Z", "2024-02-29T23:59:30.500Z", "2024-02-29T23:59:30Z")
    assert len(set(ids_of(*(make_extended(ts=time) for time in times)))) == 2
