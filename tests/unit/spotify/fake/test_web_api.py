"""The Web API: who may call it, and what the player, the list and the look-ups answer."""

import json

import pytest
from tests.unit.spotify.fake.listening import T0_MS, Listening

from soundlake.spotify.fake import FakeSpotify, list_raw_answers

STATES = [
    {"run": [0, 100, "A", 0]},
    {"stuck": [100, 200, "B", 0]},
    {"null_item": [200, 230, "ad"]},
    {"hold": [230, 300, "B", 5000]},
    {"none": [300, 400]},
    {"gap": [400, 500]},
    {"run": [500, 600, "E", 0], "with": {"type": "episode", "show": True}},
]
TRACKS = {"A": 100_000, "B": 200_000, "E": 3_600_000}


@pytest.fixture
def listening():
    return Listening(TRACKS, STATES)


@pytest.mark.parametrize(
    ("seconds", "seen"),
    [
        (0, (True, 0, "sl_track_A")),
        (99.5, (True, 99_500, "sl_track_A")),
        (150, (True, 0, "sl_track_B")),
        (210, (True, 10_000, None)),
        (250, (False, 5_000, "sl_track_B")),
        (550, (True, 50_000, "sl_track_E")),
    ],
)
def test_the_player_follows_each_kind_of_state(listening, seconds, seen):
    body = listening.player(seconds)
    if seconds == 210:
        assert (body["item"], body["currently_playing_type"]) == (None, "ad")
        return
    assert (body["is_playing"], body["progress_ms"], body["item"]["id"]) == seen


def test_nothing_playing_is_204_without_a_body_and_a_gap_is_no_answer(listening):
    for second in (350, 700):  # a pause of the script, and its end
        answer = listening.at(second).call("/v1/me/player")
        assert (answer.status, answer.body) == (204, b"")
    listening.at(450)
    assert {listening.call("/v1/me").failure for _ in range(4)} == {"unresolved", "refused", "timeout", None}


def test_an_episode_is_shown_to_clients_that_know_them_only(listening):
    listening.at(550)
    blind = json.loads(listening.call("/v1/me/player").body)
    assert (blind["item"], blind["currently_playing_type"]) == (None, "episode")
    seeing = json.loads(listening.call("/v1/me/player/currently-playing", additional_types="track,episode").body)
    assert seeing["item"]["show"]["name"] == "Album E"
    assert "device" not in seeing


def test_fields_of_a_case_are_written_where_they_belong():
    changes = {
        "device_id": None, "is_restricted": True, "id": None, "uri": "local", "is_local": True, "images": [], "artist": "", "album": "",
        "omit": ["context", "actions", "shuffle_state"], "is_private_session": True, "item.explicit": "absent",
    }  # fmt: skip
    body = Listening({"L": 184_000}, [{"run": [0, 184, "L", 0], "with": changes}]).player(10)
    assert (body["device"]["id"], body["device"]["is_restricted"], body["device"]["is_private_session"]) == (None, True, True)
    assert (body["item"]["id"], body["item"]["is_local"], body["item"]["album"]["images"]) == (None, True, [])
    assert (body["item"]["artists"][0]["name"], body["item"]["album"]["name"]) == ("", "")
    assert body["item"]["uri"] == "spotify:local:Artist L:Album L:Song L:184"
    assert not {"context", "actions", "shuffle_state"} & body.keys()
    assert "explicit" not in body["item"]


def test_the_list_has_what_was_played_to_its_end_and_the_50_newest_only():
    states = [{"run": [start, start + 30, "AB"[start // 30 % 2], 0]} for start in range(0, 1_800, 30)]
    listening = Listening({"A": 30_000, "B": 60_000}, states)
    assert len(listening.history(1_800, limit=50)["items"]) == 30  # B was left in the middle each time
    assert [item["track"]["id"] for item in listening.history(45)["items"]] == ["sl_track_A"]
    many = Listening({"A": 10_000}, [{"run": [at, at + 10, "A", 0]} for at in range(0, 1_000, 10)])
    page = many.history(1_000, limit=50)
    assert (len(page["items"]), page["next"], page["cursors"]["before"]) == (50, None, str(T0_MS + 510_000))
    assert many.history(limit=50, before=T0_MS + 510_000)["items"] == []
    assert many.history(limit=2, after=T0_MS + 970_000)["items"][0]["played_at"] == "2026-01-01T20:16:30.000Z"
    assert many.history(limit=50, after=T0_MS + 1_000_000)["cursors"] is None


def test_stamps_of_a_script_are_listed_as_given():
    listening = Listening({"A": 244_197}, [{"run": [0, 241, "A", 0]}], recent=[["A", 223.863]])
    assert listening.history(223.8)["items"] == []
    assert listening.history(224)["items"][0]["played_at"] == "2026-01-01T20:03:43.863Z"


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 51}, {"limit": "x"}, {"after": 1, "before": 2}, {"after": "x"}])
def test_a_wrong_page_is_refused(listening, query):
    assert listening.call("/v1/me/player/recently-played", **query).status == 400


def test_look_ups_take_one_id_and_find_relinked_ones(listening):
    track = json.loads(listening.call("/v1/tracks/sl_track_A").body)
    assert json.loads(listening.call("/v1/tracks/sl_relinked_sl_track_A").body) == track
    assert track["external_ids"]["isrc"].startswith("QZZZZ26")
    assert json.loads(listening.call("/v1/albums/sl_album_A").body)["tracks"]["items"][0]["id"] == "sl_track_A"
    assert json.loads(listening.call("/v1/artists/sl_artist_A").body)["name"] == "Artist A"
    found = json.loads(listening.call("/v1/search", q="track:Song A artist:artist", type="track,artist").body)
    assert [one["id"] for one in found["tracks"]["items"]] == ["sl_track_A"]
    assert [one["id"] for one in found["artists"]["items"]] == ["sl_artist_A"]
    statuses = [listening.call(path).status for path in ("/v1/tracks/none", "/v1/tracks", "/v1/audio-features", "/v1/browse/x", "/v1/no")]
    assert statuses == [404, 403, 403, 403, 404]
    assert [
        listening.call("/v1/search", **query).status for query in ({"q": "a"}, {"type": "track"}, {"q": "a", "type": "track", "limit": 11})
    ] == [400] * 3


def test_tokens_scopes_lists_and_premium_are_checked(listening):
    fake: FakeSpotify = listening.fake
    assert fake.sign_in("anna", "user-read-email")["scope"] == "user-read-email"
    narrow = fake.sign_in("anna", "user-read-currently-playing")["access_token"]
    paths = ("/v1/me", "/v1/me/player/currently-playing", "/v1/me/player", "/v1/me/player/recently-played")
    assert [listening.call(path, narrow).status for path in paths] == [200, 200, 403, 403]
    listening.app.owner_has_premium = False
    assert listening.call("/v1/me").headers["content-type"].startswith("text/plain")
    listening.app.allow_list = {"ben"}
    assert (listening.call("/v1/me").status, b"not registered" in listening.call("/v1/me").body) == (403, True)
    assert listening.call("/v1/me", "no token").status == 401


def test_calls_of_an_app_and_a_developer_are_counted_together(listening):
    fake = listening.fake
    listening.app.calls_per_window = 3
    statuses = [listening.at(second).call("/v1/me").status for second in (0, 1, 2, 3, 4)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = listening.at(5).call("/v1/me")
    assert (refused.status, refused.headers["retry-after"]) == (429, "26")
    assert [listening.at(second).call("/v1/me").status for second in (36, 37)] == [200, 200]
    fake.limits.calls_per_day["developer-1"] = 9
    assert listening.at(100).call("/v1/me").status == 200
    exceeded = listening.at(101).call("/v1/me")
    assert (json.loads(exceeded.body)["error"]["reason"], exceeded.headers["retry-after"]) == ("QUOTA_EXCEEDED", "86300")
    assert listening.at(86_400).call("/v1/me", fake.sign_in("anna")["access_token"]).status == 429
    assert [call.status for call in fake.calls].count(429) == 5


def test_a_raw_state_answers_once():
    states = [
        {"run": [0, 60, "A", 0]},
        {"raw": {"status": 502, "body": "bad"}},
        {"run": [60, 100, "A", 60_000]},
        {"raw": {"t": 80, "progress_ms": None}},
    ]
    listening = Listening(TRACKS, states)
    for fault in list_raw_answers("anna", T0_MS, states):
        listening.fake.faults.add(fault)
    assert [listening.at(second).call("/v1/me/player").status for second in (59, 60, 65)] == [200, 502, 200]
    assert [listening.player(second)["progress_ms"] for second in (75, 80, 85)] == [75_000, None, 85_000]
