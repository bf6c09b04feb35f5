"""Each fault: what it does to an answer, and which requests it meets."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.unit.spotify.fake.listening import T0_MS, Listening

from soundlake.errors import UsageError
from soundlake.spotify.fake import DEFAULT_REDIRECT_URI, Fault, Request
from soundlake.spotify.fake.canned_answers import CANNED
from soundlake.spotify.fake.faults import KINDS
from soundlake.spotify.fake.history_faults import HISTORY_FAULTS
from soundlake.spotify.fake.player_faults import PLAYER_FAULTS

TRACKS = {"A": 200_000, "B": 180_000}
STATES = [{"run": [0, 200, "A", 0]}, {"run": [200, 380, "B", 0]}, {"hold": [380, 400, "B", 180_000]}, {"none": [400, 500]}]


@pytest.fixture
def listening():
    return Listening(TRACKS, STATES)


def switch_on(listening, kind, **fault):
    return listening.fake.faults.add(Fault(kind, **fault))


PLAYER_OUTCOMES = {
    "stale_progress": (100, lambda body: body["progress_ms"] == 90_000),
    "past_end": (390, lambda body: body["is_playing"] and body["progress_ms"] == 190_000),
    "old_clock": (205, lambda body: body["item"]["id"] == "sl_track_B" and body["progress_ms"] == 205_000),
    "null_item": (100, lambda body: body["item"] is None and body["currently_playing_type"] == "unknown"),
    "relinked": (100, lambda body: "linked_from" in body["item"] and body["item"]["id"] == "sl_relinked_sl_track_A"),
    "zero_progress": (100, lambda body: body["progress_ms"] == 0),
    "null_progress": (100, lambda body: body["progress_ms"] is None),
    "null_context": (100, lambda body: body["context"] is None),
    "no_context": (100, lambda body: "context" not in body),
    "null_device": (100, lambda body: body["device"] is None),
    "no_device": (100, lambda body: "device" not in body),
    "null_device_id": (100, lambda body: body["device"]["id"] is None and body["device"]["is_restricted"]),
    "unknown_device": (100, lambda body: body["device"]["type"] == "Hologram"),
    "unknown_type": (100, lambda body: body["currently_playing_type"] == "hologram"),
    "unknown_fields": (100, lambda body: "nested" in body and "nested" in body["item"]),
    "missing_fields": (100, lambda body: "shuffle_state" not in body),
    "changes": (100, lambda body: body["device"]["name"] == "Bath"),
}


@pytest.mark.parametrize("kind", PLAYER_FAULTS)
def test_a_fault_of_the_player_changes_its_answer_and_leaves_when_it_is_removed(listening, kind):
    seconds, is_right = PLAYER_OUTCOMES[kind]
    number = switch_on(listening, kind, details={"with": {"device.name": "Bath"}} if kind == "changes" else {})
    assert is_right(listening.player(seconds))
    assert listening.player(450) is None or kind == "past_end"
    listening.fake.faults.remove(number)
    assert kind == "null_context" or not is_right(listening.player(seconds))


HISTORY_OUTCOMES = {
    "late_list": lambda body: [item["track"]["id"] for item in body["items"]] == ["sl_track_A"],
    "listed_twice": lambda body: len(body["items"]) == 2,
    "null_cursors": lambda body: body["cursors"] is None,
    "no_cursors": lambda body: "cursors" not in body,
    "empty_list": lambda body: body["items"] == [],
    "null_track": lambda body: body["items"][1]["track"] is None,
    "null_stamp": lambda body: body["items"][1]["played_at"] is None,
    "short_stamps": lambda body: body["items"][0]["played_at"] == "2026-01-01T20:06:20Z",
}


@pytest.mark.parametrize("kind", HISTORY_FAULTS)
def test_a_fault_of_the_list_changes_its_answer(listening, kind):
    switch_on(listening, kind, details={"seconds": 30} if kind == "late_list" else {})
    assert HISTORY_OUTCOMES[kind](listening.history(400))


@pytest.mark.parametrize("kind", sorted(set(CANNED) - {"respond", "invalid_grant"}))
def test_an_answer_in_place_of_the_right_one_is_given_as_often_as_asked_for(listening, kind):
    usual = listening.at(100).call("/v1/me/player")
    switch_on(listening, kind, count=2)
    answers = [listening.call("/v1/me/player") for _ in range(3)]
    assert answers[0] == answers[1] != usual
    assert answers[2] == usual


@pytest.mark.parametrize(
    ("kind", "retry_after"),
    [
        ("rate_limited", "7"),
        ("rate_limited_hours", "19056"),
        ("rate_limited_zero", "0"),
        ("rate_limited_no_header", None),
        ("quota_exceeded", "52531"),
    ],
)
def test_a_limit_has_its_own_form(listening, kind, retry_after):
    switch_on(listening, kind)
    answer = listening.call("/v1/me/player")
    assert (answer.status, answer.headers.get("retry-after")) == (429, retry_after)


def test_an_answer_is_given_word_for_word(listening):
    details = {
        "status": 429,
        "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT",
        "content_type": "text/plain",
        "body": "",
        "headers": {"X-Odd": 1},
    }
    switch_on(listening, "respond", details=details)
    answer = listening.call("/v1/me")
    assert (answer.status, answer.body, answer.headers["content-type"], answer.headers["x-odd"]) == (429, b"", "text/plain", "1")
    assert answer.headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    assert answer.headers["date"] == "Thu, 01 Jan 2026 20:00:00 GMT"


def test_an_outage_of_tokens_ends_and_the_same_tokens_are_good_again(listening):
    token = listening.fake.sign_in("anna")["refresh_token"]
    form = f"grant_type=refresh_token&client_id={listening.app.client_id}&refresh_token={token}".encode()
    switch_on(listening, "invalid_grant", until_ms=T0_MS + 3_600_000)
    ask = Request("POST", "/api/token", body=form)
    assert json.loads(listening.at(3_599).fake.answer(ask).body)["error"] == "invalid_grant"
    assert listening.at(3_600).fake.answer(ask).status == 200


@pytest.mark.parametrize(("value", "answered"), [("", ""), (None, None), ("r2", "r2")])
def test_a_refresh_answer_has_the_members_of_the_fault(listening, value, answered):
    token = listening.fake.sign_in("anna")["refresh_token"]
    switch_on(listening, "token_fields", details={"refresh_token": value, "scope": "absent"})
    form = f"grant_type=refresh_token&client_id={listening.app.client_id}&refresh_token={token}".encode()
    body = json.loads(listening.fake.answer(Request("POST", "/api/token", body=form)).body)
    assert (body["refresh_token"], "scope" in body) == (answered, False)


def test_the_answer_of_an_exchange_keeps_its_refresh_token(listening):
    switch_on(listening, "token_fields", details={"refresh_token": None})
    query = {"client_id": listening.app.client_id, "response_type": "code", "redirect_uri": DEFAULT_REDIRECT_URI}
    sent_back = listening.fake.answer(Request("POST", "/authorize", query, body=b"account=anna&decision=allow"))
    code = sent_back.headers["location"].partition("code=")[2]
    form = query | {"grant_type": "authorization_code", "code": code, "client_secret": listening.app.client_secret}
    answer = json.loads(listening.fake.answer(Request("POST", "/api/token", body=urlencode(form).encode())).body)
    assert answer["refresh_token"]


@pytest.mark.parametrize(
    ("fault", "is_met"),
    [
        ({}, True),
        ({"accounts": frozenset({"anna"})}, True),
        ({"accounts": frozenset({"ben"})}, False),
        ({"apps": frozenset({"another"})}, False),
        ({"paths": ("/v1/tracks/*",)}, False),
        ({"paths": ("/v1/me*",)}, True),
        ({"from_ms": T0_MS + 1}, False),
        ({"until_ms": T0_MS}, False),
        ({"from_ms": T0_MS, "until_ms": T0_MS + 1}, True),
    ],
)
def test_a_fault_meets_the_requests_that_it_names(listening, fault, is_met):
    switch_on(listening, "server_error", **fault)
    assert listening.call("/v1/me").status == (500 if is_met else 200)


def test_a_share_of_the_requests_is_met_the_same_ones_with_the_same_seed():
    def draw(seed):
        listening = Listening(TRACKS, STATES)
        switch_on(listening, "server_error", share=0.3, seed=seed)
        return [listening.call("/v1/me").status for _ in range(400)]

    assert draw(1) == draw(1) != draw(2)
    assert 90 < draw(1).count(500) < 150


def test_an_unknown_fault_is_refused_with_the_kinds():
    with pytest.raises(UsageError, match="no fault 'flood'") as refused:
        Fault("flood")
    assert all(kind in str(refused.value) for kind in KINDS)


def test_the_document_names_each_kind():
    text = (Path(__file__).parents[4] / "docs" / "fake-spotify.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
