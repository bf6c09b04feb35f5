import json
from datetime import UTC, datetime

import pytest
from history_rows import make_head, make_short, read_bytes, recognise

from soundlake.history import BrokenFile
from soundlake.history.listenbrainz import ListenBrainz

TRACK = {"artist_name": "The Lanterns", "track_name": "Ode", "release_name": "Nights"}


def make_listen(at=1700000000, info=None, **track):
    return {"listened_at": at, "track_metadata": {**TRACK, "additional_info": info or {}, "mbid_mapping": None, **track}}


def read(*rows):
    return read_bytes("\n".join(map(json.dumps, rows)).encode(), ListenBrainz(), name="listens/2023/11.jsonl")


def read_one(row):
    result = read(row)
    assert not result.refused
    (event,) = result.events.to_pylist()
    return event


def test_a_listen_becomes_a_play_with_an_unknown_time_heard():
    event = read_one(make_listen())
    assert {name: value for name, value in event.items() if value is not None} == {
        "event_id": event["event_id"], "event_type": "play", "schema_version": 1, "user_id": "anna",
        "played_at": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), "played_at_basis": "reported", "track_name": "Ode",
        "artist_name": "The Lanterns", "album_name": "Nights", "source": "listenbrainz", "source_ref": "listenbrainz:2023-11-14T22:13:20Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("info", "duration_ms"),
    [
        ({}, None), ({"duration_ms": 180_000}, 180_000), ({"duration": 180}, 180_000), ({"duration_ms": "180000"}, 180_000),
        ({"duration_ms": 0, "duration": 181.0}, 181_000), ({"duration_ms": -1}, None), ({"duration_ms": "long"}, None),
        ({"duration": 180.4}, 180_400), ({"duration": "180"}, 180_000), ({"duration_ms": 180_000.7}, 180_001), ({"duration": True}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_duration_is_in_milliseconds_or_seconds(info, duration_ms):
    assert read_one(make_listen(info=info))["duration_ms"] == duration_ms


@pytest.mark.parametrize(
    ("info", "track_id"),
    [
        ({"spotify_id": "https://open.spotify.com/track/0000000000000000000001"}, "0000000000000000000001"),
        ({"origin_url": "https://open.spotify.com/intl-de/track/0000000000000000000001?si=x"}, "0000000000000000000001"),
        ({"spotify_id": "https://open.spotify.com/track/sl_track_0000001"}, "sl_track_0000001"),
        ({"spotify_id": "", "origin_url": "https://youtu.be/x"}, None),
    ],
    ids=str,
)
def test_only_an_id_of_spotify_is_the_track_id(info, track_id):
    assert read_one(make_listen(info=info))["track_id"] == track_id


def test_what_the_contract_has_no_field_for_is_kept_without_the_account():
    row = make_listen(info={"recording_mbid": "m", "tags": [], "ip_addr": "192.0.2.1"}, recording_msid="s")
    extra = json.loads(read_one(row | {"inserted_at": 1769288454.3, "user_name": "secret"})["extra"])
    assert extra == {"inserted_at": 1769288454.3, "recording_msid": "s", "additional_info": {"recording_mbid": "m"}}


def test_the_id_does_not_depend_on_what_the_service_adds_later():
    row = make_listen()
    later = make_listen(mbid_mapping={"recording_mbid": "found"}, recording_msid="s") | {"inserted_at": "2024-01-01"}
    other = make_listen(info={"recording_mbid": "sent by the player"})
    ids = read(row, later, make_listen(at="1700000000"), make_listen(at=1700000000.0), other).events["event_id"].to_pylist()
    assert ids[0] == ids[1] == ids[2] == ids[3] != ids[4]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"listened_at": 0}, "played_at_out_of_range"), ({"listened_at": None}, "bad_listened_at"),
        ({"listened_at": "soon"}, "bad_listened_at"),
        ({"track_metadata": {"artist_name": "A"}}, "names_nothing"), ({"track_metadata": None}, "names_nothing"),
        ({"playing_now": True, "listened_at": None}, "now_playing"),
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_is_no_listen_is_refused_with_its_reason(changes, reason):
    result = read(make_listen(), make_listen() | changes)
    assert ([refused.reason for refused in result.refused], len(result.events)) == ([reason], 1)


def test_a_line_that_is_not_json_costs_only_itself():
    data = b"\n".join([json.dumps(make_listen()).encode(), b'{"listened_at": 1', b"\xff{", json.dumps(make_listen(at=1700000100)).encode()])
    result = read_bytes(data, ListenBrainz())
    assert ([refused.reason for refused in result.refused], len(result.events)) == (["not_json"] * 2, 2)


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: "\n".join(map(json.dumps, rows)) + "\n\n",
        json.dumps,
        lambda rows: json.dumps(rows, indent=2),
        lambda rows: json.dumps({"payload": {"count": len(rows), "listens": rows}}),
        lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows),
        lambda rows: json.dumps({"listen_type": "import", "payload": rows}),
    ],
    ids=["lines", "the older array", "the array indented", "an answer of the API", "objects one after another", "what a player submits"],
)
def test_every_layout_gives_the_same_plays(form):
    rows = [make_listen(), make_listen(at=1700000200.5), make_listen(at=1700000400, info={"tags": ["x" * 300_000]})]
    text = form(rows)
    assert recognise(text) == "listenbrainz"
    assert read_bytes(text.encode(), ListenBrainz()).events.equals(read(*rows).events)


def test_a_long_first_line_is_recognised():
    assert recognise(json.dumps(make_listen(info={"tags": ["x" * 500_000]}))[:262_144]) == "listenbrainz"


def test_other_files_are_not_recognised_and_described():
    feedback = json.dumps({"recording_msid": "m", "recording_mbid": None, "score": 1})
    assert recognise(feedback) is None
    assert ListenBrainz().describe(make_head(feedback)) == "likes and dislikes (ListenBrainz), no listens"
    assert recognise(json.dumps([make_short()])) == "spotify_export"


@pytest.mark.parametrize("data", [b"", b"[]", b"\n\n"], ids=str)
def test_a_file_without_a_listen_is_broken(data):
    with pytest.raises(BrokenFile):
        read_bytes(data, ListenBrainz())
