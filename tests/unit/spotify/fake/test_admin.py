"""Admin calls: the clock, accounts, apps, faults and the truth."""

import json

import pytest
from tests.unit.spotify.fake.listening import T0_MS, Listening

from soundlake.spotify.fake import Request
from soundlake.spotify.fake.faults import KINDS


@pytest.fixture
def listening():
    return Listening({"A": 200_000}, [{"run": [0, 60, "A", 0]}, {"hold": [60, 90, "A", 60_000]}, {"run": [90, 230, "A", 60_000]}])


def ask(listening, method, path, body=None, **query):
    answer = listening.fake.answer(Request(method, f"/admin/{path}", query, body=b"" if body is None else json.dumps(body).encode()))
    return answer.status, json.loads(answer.body)


def test_the_truth_is_what_was_heard_and_has_ended(listening):
    assert ask(listening.at(229), "GET", "truth") == (200, {"plays": []})
    (play,) = ask(listening.at(230), "GET", "truth", account="anna")[1]["plays"]
    assert {name: play[name] for name in ("track", "heard_ms", "private_ms", "reason_end", "device_type")} == {
        "track": "sl_track_A", "heard_ms": 200_000, "private_ms": 0, "reason_end": "trackdone", "device_type": "Speaker",
    }  # fmt: skip
    assert (play["start_ms"], play["end_ms"]) == (T0_MS, T0_MS + 230_000)
    (entry,) = ask(listening, "GET", "history")[1]["entries"]
    assert (entry["played_at_ms"], entry["play"]) == (T0_MS + 230_000, 0)


def test_the_clock_is_set_moved_and_sped_up(listening):
    assert ask(listening, "POST", "clock", {"now": "2026-07-01T00:00:00Z", "advance_s": 90, "speed": 60})[1]["now"].startswith(
        "2026-07-01T00:01:30"
    )
    assert ask(listening.at(1), "GET", "state")[1]["now"].startswith("2026-07-01T00:02:30")


def test_a_fault_is_switched_on_for_a_time_and_off(listening):
    _, fault = ask(listening, "POST", "faults", {"kind": "server_error", "accounts": ["anna"], "seconds": 10})
    assert [listening.at(second).call("/v1/me").status for second in (9, 10)] == [500, 200]
    assert ask(listening, "GET", "state")[1]["faults"] == {str(fault["id"]): {"kind": "server_error", "hits": 1}}
    ask(listening, "POST", "faults", {"kind": "server_error"})
    ask(listening, "DELETE", f"faults/{fault['id'] + 1}")
    assert listening.call("/v1/me").status == 200
    ask(listening, "DELETE", "faults")
    assert ask(listening, "GET", "state")[1]["faults"] == {}


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_switched_on_and_off_by_an_admin_call(listening, kind):
    status, fault = ask(listening, "POST", "faults", {"kind": kind, "accounts": ["anna"], "count": 1, "details": {"seconds": 5}})
    state = ask(listening, "GET", "state")[1]
    assert (status, state["faults"], kind in state["fault_kinds"]) == (200, {str(fault["id"]): {"kind": kind, "hits": 0}}, True)
    ask(listening, "DELETE", f"faults/{fault['id']}")
    assert ask(listening, "GET", "state")[1]["faults"] == {}


@pytest.mark.parametrize(
    ("change", "status", "body"),
    [
        ({"owner_has_premium": False}, 403, b"premium subscription"),
        ({"allow_list": []}, 403, b"not registered"),
        ({"calls_per_window": 1}, 429, b"Too many requests"),
        ({"calls_per_day": 1}, 429, b"QUOTA_EXCEEDED"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_spotify_refuses_an_app_is_switched_on_by_an_admin_call(listening, change, status, body):
    assert listening.call("/v1/me").status == 200
    ask(listening, "PUT", f"apps/{listening.app.client_id}", change)
    refused = listening.call("/v1/me")
    assert (refused.status, body in refused.body) == (status, True), refused.body


def test_rotation_and_the_end_of_six_months_are_switched_on_by_an_admin_call(listening):
    token = listening.fake.sign_in("anna")["refresh_token"]

    def refresh():
        form = f"grant_type=refresh_token&client_id={listening.app.client_id}&refresh_token={token}".encode()
        return json.loads(listening.fake.answer(Request("POST", "/api/token", body=form)).body)

    assert "refresh_token" not in refresh()
    ask(listening, "PUT", f"apps/{listening.app.client_id}", {"rotates_refresh_tokens": True})
    token = refresh()["refresh_token"]
    ask(listening, "POST", "clock", {"advance_s": 183 * 86_400})
    assert refresh()["error"] == "invalid_grant"


def test_an_app_is_changed_or_registered_by_the_members_that_are_given(listening):
    client_id = listening.app.client_id
    ask(listening, "PUT", f"apps/{client_id}", {"allow_list": ["ben"], "calls_per_day": 100})
    assert (listening.app.allow_list, listening.app.client_secret != "") == ({"ben"}, True)
    assert listening.call("/v1/me").status == 403
    ask(listening, "PUT", "apps/another", {"developer": "developer-1", "client_secret": "other"})
    assert listening.fake.apps["another"].client_secret == "other"
    assert listening.fake.limits.calls_per_day == {"developer-1": 100}


def test_an_account_is_scripted_and_revoked(listening):
    script = {"tracks": {"B": 30_000}, "states": [{"run": [0, 30, "B", 0]}, {"raw": {"t": 5, "status": 500}}], "repeat_state": "track"}
    assert ask(listening.at(100), "PUT", "accounts/ben", script)[0] == 200
    bearer = listening.fake.sign_in("ben")["access_token"]
    assert json.loads(listening.at(101).call("/v1/me/player", bearer).body)["repeat_state"] == "track"
    assert [listening.at(second).call("/v1/me/player", bearer).status for second in (105, 106)] == [500, 200]
    ask(listening, "POST", "accounts/ben/revoke", {})
    assert [listening.call("/v1/me", token).status for token in (bearer, listening.bearer)] == [401, 200]
    assert [call["account"] for call in ask(listening, "GET", "calls", since_ms=str(T0_MS + 105_000))[1]["calls"]] == [
        "ben",
        "ben",
        "ben",
        "anna",
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", {"kind": "flood"}, 400),
        ("POST", "faults", {"kind": "server_error", "seconds": -1}, 400),
        ("POST", "clock", {"now": "2026-07-01"}, 400),
        ("PUT", "accounts/ben", {"tracks": {}, "states": [{"run": [0, 1, "X", 0]}]}, 404),
        ("PUT", "accounts/ben", {"tracks": {"A": 1}, "states": [{"fly": [0, 1]}]}, 400),
        ("PUT", "accounts/ben", {"tracks": {"A": 9}, "states": [{"run": [0, 5, "A", 0]}, {"run": [4, 8, "A", 0]}]}, 400),
        ("POST", "accounts/nobody/revoke", {}, 404),
        ("GET", "secrets", None, 404),
    ],
)
def test_a_call_that_is_not_understood_says_so(listening, method, path, body, status):
    answered, error = ask(listening, method, path, body)
    assert (answered, bool(error["error"])) == (status, True)
