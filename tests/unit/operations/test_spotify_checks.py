"""The doctor's findings on the app at Spotify and on the files of tokens."""

from __future__ import annotations

import socket

import pytest

from soundlake.operations.stack.findings import Verdict
from soundlake.operations.stack.spotify_checks import check_spotify
from soundlake.settings import Settings

CLIENT_ID, SECRET = "0123456789abcdef" * 2, "fedcba9876543210" * 2


@pytest.fixture
def check(tmp_path):
    def check(**spotify: object):
        settings = Settings(_env_file=None, home=tmp_path, spotify={"client_id": CLIENT_ID, **spotify})
        return {finding.name: finding for finding in check_spotify(settings, tmp_path / "stack")}

    return check


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_complete_app_is_well(check, free_port):
    found = check(redirect_uri=f"http://127.0.0.1:{free_port}/callback", client_secret=SECRET)
    assert {finding.verdict for finding in found.values()} == {Verdict.THERE}
    assert not [finding for finding in found.values() if SECRET in str(finding)]


def test_without_an_app_the_fake_is_named_and_nothing_is_wrong(check):
    found = check(client_id="")
    assert {finding.verdict for finding in found.values()} == {Verdict.THERE}
    assert "fake" in found["Spotify's app"].found


@pytest.mark.parametrize(
    ("setting", "name", "words"),
    [
        ({"client_id": "my-app"}, "Spotify's app", "32 digits"),
        ({"client_id": CLIENT_ID.upper()}, "Spotify's app", "32 digits"),
        ({"redirect_uri": "http://localhost:8888/callback"}, "Spotify's redirect address", "refuses localhost"),
        ({"redirect_uri": "http://example.org/callback"}, "Spotify's redirect address", "https"),
        ({"redirect_uri": "http://127.0.0.1/callback"}, "Spotify's redirect address", "a port"),
        ({"client_secret": "hush"}, "proof of Spotify's sign-in", "no client secret"),
    ],
)
def test_what_spotify_would_refuse_is_named_with_the_remedy(check, setting, name, words):
    finding = check(**setting)[name]
    assert (finding.verdict, words in finding.found, bool(finding.remedy)) == (Verdict.MISSING, True, True)
    assert "hush" not in str(finding)


def test_pkce_needs_no_secret(check):
    assert "PKCE" in check()["proof of Spotify's sign-in"].found


def test_a_port_that_is_taken_has_a_way_out(check):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finding = check(redirect_uri=f"http://127.0.0.1:{taken.getsockname()[1]}/callback")["port of Spotify's sign-in"]
    assert (finding.verdict, "--paste" in finding.remedy) == (Verdict.LACKING, True)


@pytest.mark.parametrize("home", [".", "stack"])
@pytest.mark.parametrize(("mode", "verdict"), [(0o600, Verdict.THERE), (0o640, Verdict.MISSING), (0o604, Verdict.MISSING)])
def test_tokens_that_others_can_read_are_found_in_both_homes(check, tmp_path, home, mode, verdict):
    folder = tmp_path / home / "spotify" / "accounts"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    (folder / "a.json").chmod(mode)
    finding = check()["files of Spotify's tokens"]
    assert (finding.verdict, f"chmod 600 {folder.resolve() / 'a.json'}" == finding.remedy) == (verdict, verdict is Verdict.MISSING)
