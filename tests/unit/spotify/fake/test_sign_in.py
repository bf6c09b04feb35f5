"""The accounts host: which requests it refuses and why, and how long what it gives out is good for."""

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.unit.spotify.fake.listening import Listening

from soundlake.spotify.fake import DEFAULT_REDIRECT_URI, Request

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
HALF_A_YEAR = 15_778_800


@pytest.fixture
def listening():
    return Listening({"A": 200_000}, [{"run": [0, 200, "A", 0]}])


def authorize(listening, method="POST", decision="allow", **changes):
    query = {"client_id": listening.app.client_id, "response_type": "code", "redirect_uri": DEFAULT_REDIRECT_URI, "state": "s"}
    query = {name: value for name, value in (query | changes).items() if value is not None}
    return listening.fake.answer(Request(method, "/authorize", query, body=urlencode({"account": "anna", "decision": decision}).encode()))


def get_code(listening, **changes):
    return parse_qs(urlsplit(authorize(listening, **changes).headers["location"]).query)["code"][0]


def post_token(listening, headers=None, **form):
    answer = listening.fake.answer(Request("POST", "/api/token", {}, headers or {}, urlencode(form).encode()))
    return answer.status, json.loads(answer.body)


def exchange(listening, code, **form):
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": DEFAULT_REDIRECT_URI, "client_id": listening.app.client_id}
    return post_token(listening, **fields | form)


def refresh(listening, token, **form):
    return post_token(listening, grant_type="refresh_token", refresh_token=token, client_id=listening.app.client_id, **form)


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("http://localhost:8888/callback", "Insecure redirect URI"),
        ("https://localhost/callback", "Insecure redirect URI"),
        ("http://example.org/callback", "Insecure redirect URI"),
        ("http://127.0.0.1:8888/other", "Invalid redirect URI"),
        ("http://[::1/callback", "Invalid redirect URI"),
        ("http://127.0.0.1:9999/callback", "Invalid redirect URI"),
    ],
)
def test_an_insecure_or_unregistered_address_is_refused_on_the_page(listening, uri, sentence):
    answer = authorize(listening, "GET", redirect_uri=uri)
    assert (answer.status, sentence in answer.body.decode(), "location" in answer.headers) == (400, True, False)


def test_a_loopback_address_registered_without_a_port_is_good_for_each_port(listening):
    listening.app.redirect_uris = ["http://127.0.0.1/callback"]
    assert authorize(listening, "GET", redirect_uri="http://127.0.0.1:9999/callback").status == 200
    assert authorize(listening, "GET", redirect_uri="http://127.0.0.1:9999/other").status == 400


def test_the_page_shows_the_accounts_and_cancel_is_told_to_the_app(listening):
    assert b"<option>anna</option>" in authorize(listening, "GET").body
    assert authorize(listening, decision="cancel").headers["location"] == f"{DEFAULT_REDIRECT_URI}?error=access_denied&state=s"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_told_to_the_app(listening, changes, error):
    assert f"error={error}" in authorize(listening, **changes).headers["location"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"code_verifier": VERIFIER}, 200),
        ({"code_verifier": VERIFIER, "client_secret": "wrong"}, 400),
        ({"code_verifier": "w" * 64}, 400),
        ({}, 400),
        ({"code_verifier": VERIFIER, "redirect_uri": "http://127.0.0.1:8888/other"}, 400),
    ],
)
def test_a_code_with_a_challenge_needs_its_verifier(listening, form, status):
    code = get_code(listening, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert exchange(listening, code, **form)[0] == status


def test_a_code_without_a_challenge_needs_the_secret_in_the_body_or_as_basic(listening):
    secret = listening.app.client_secret
    assert exchange(listening, get_code(listening))[1]["error"] == "invalid_client"
    assert exchange(listening, get_code(listening), client_secret=secret)[0] == 200
    basic = {"authorization": "Basic " + base64.b64encode(f"{listening.app.client_id}:{secret}".encode()).decode()}
    form = {"grant_type": "authorization_code", "code": get_code(listening), "redirect_uri": DEFAULT_REDIRECT_URI}
    status, tokens = post_token(listening, basic, **form)
    assert status == 200
    assert refresh(listening, tokens["refresh_token"])[1]["error"] == "invalid_client"  # such a token needs the secret again
    assert refresh(listening, tokens["refresh_token"], client_secret=secret)[0] == 200


def test_a_code_is_good_once_and_for_ten_minutes(listening):
    secret = listening.app.client_secret
    code, old = get_code(listening), get_code(listening)
    assert [exchange(listening, code, client_secret=secret)[0] for _ in range(2)] == [200, 400]
    listening.at(601)
    assert exchange(listening, old, client_secret=secret)[1]["error_description"] == "Authorization code expired"


def test_an_access_token_lasts_an_hour_and_a_refresh_gives_no_refresh_token(listening):
    tokens = listening.fake.sign_in("anna")
    assert listening.at(3_599).call("/v1/me", tokens["access_token"]).status == 200
    assert listening.at(3_600).call("/v1/me", tokens["access_token"]).status == 401
    status, renewed = refresh(listening, tokens["refresh_token"])
    assert (status, "refresh_token" in renewed, renewed["scope"]) == (200, False, tokens["scope"])
    assert listening.call("/v1/me", renewed["access_token"]).status == 200


def test_a_refresh_token_ends_six_months_after_the_consent_however_often_it_was_used(listening):
    listening.app.rotates_refresh_tokens = True
    token = listening.at(0).fake.sign_in("anna")["refresh_token"]
    token = refresh(listening.at(HALF_A_YEAR - 1), token)[1]["refresh_token"]
    assert refresh(listening.at(HALF_A_YEAR), token) == (400, {"error": "invalid_grant", "error_description": "Refresh token expired"})


def test_with_rotation_a_used_refresh_token_is_refused(listening):
    listening.app.rotates_refresh_tokens = True
    first = listening.fake.sign_in("anna")["refresh_token"]
    second = refresh(listening, first)[1]["refresh_token"]
    assert [refresh(listening, token)[0] for token in (first, second)] == [400, 200]


def test_a_restarted_fake_accepts_the_tokens_that_it_gave_and_no_others(listening):
    tokens = listening.fake.sign_in("anna")
    again = Listening({"A": 200_000}, [{"run": [0, 200, "A", 0]}])
    assert again.call("/v1/me", tokens["access_token"]).status == 200
    assert again.call("/v1/me", tokens["access_token"][:-3] + "AAA").status == 401
    assert again.call("/v1/me", tokens["refresh_token"]).status == 401


def test_a_revoked_account_signs_in_again(listening):
    tokens = listening.fake.sign_in("anna")
    listening.fake.grants.revoke("anna", listening.app.client_id, listening.fake.clock.now_ms)
    assert refresh(listening, tokens["refresh_token"])[1]["error"] == "invalid_grant"
    assert listening.call("/v1/me", tokens["access_token"]).status == 401
    assert listening.at(1).call("/v1/me", listening.fake.sign_in("anna")["access_token"]).status == 200
