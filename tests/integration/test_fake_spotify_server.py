"""`soundlake serve fake-spotify` as a process, and failures over real sockets."""

import json
import subprocess
import sys

import httpx
import pytest

from soundlake.spotify.fake import DEFAULT_REDIRECT_URI, AdjustableClock, FakeApp, FakeSpotify, Fault, write_timeline
from soundlake.spotify.fake.clock import from_ms
from soundlake.spotify.fake.server import serve_in_thread

T0_MS = 1_767_297_600_000


@pytest.fixture(scope="module")
def served():
    """The command, from its line of JSON until SIGTERM."""
    command = [
        sys.executable,
        "-m",
        "soundlake.cli.app",
        "serve",
        "fake-spotify",
        "--port",
        "0",
        "--json",
        "--listeners",
        "2",
        "--no-limits",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_an_account_that_signs_in_is_playing_and_has_a_history(served):
    assert served["accounts"] == ["fake-01", "fake-02"]
    client_id = served["environment"]["SPOTIFY_CLIENT_ID"]
    with httpx.Client(base_url=served["url"], timeout=60) as client:
        scope = "user-read-playback-state user-read-recently-played"
        query = {"client_id": client_id, "response_type": "code", "redirect_uri": DEFAULT_REDIRECT_URI, "scope": scope}
        sent_back = client.post("/authorize", params=query, data={"account": "fake-01", "decision": "allow"})
        form = {
            "grant_type": "authorization_code", "code": sent_back.headers["location"].partition("code=")[2],
            "redirect_uri": DEFAULT_REDIRECT_URI, "client_id": client_id, "client_secret": served["client_secret"],
        }  # fmt: skip
        client.headers["Authorization"] = f"Bearer {client.post('/api/token', data=form).json()['access_token']}"
        assert client.get("/v1/me").json()["id"] == "fake-01"
        page = client.get("/v1/me/player/recently-played", params={"limit": 50}).json()
        assert len(page["items"]) == 50
        minute = 0
        while client.get("/v1/me/player").status_code == 204:  # the song that plays changes just now, or it is an offline one
            minute += 1
            assert minute < 600
            client.post("/admin/clock", json={"advance_s": 60})
        picture = client.get("/v1/me/player").json()["item"]
        assert picture is None or picture["id"].startswith("sl_")


def test_a_taken_port_is_named(served):
    port = served["url"].rpartition(":")[2]
    command = [sys.executable, "-m", "soundlake.cli.app", "serve", "fake-spotify", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize(
    ("kind", "error"), [("closed", httpx.RemoteProtocolError), ("endless", httpx.ReadTimeout), ("timeout", httpx.ReadTimeout)]
)
def test_a_broken_answer_breaks_over_a_socket_too(kind, error):
    fake = FakeSpotify(AdjustableClock(from_ms(T0_MS)))
    fake.add_app(FakeApp())
    fake.add_account(write_timeline("anna", T0_MS, {"A": 200_000}, [{"run": [0, 200, "A", 0]}]))
    fake.faults.add(Fault(kind, count=1))
    with serve_in_thread(fake) as url, httpx.Client(base_url=url, timeout=3) as client:
        client.headers["Authorization"] = f"Bearer {fake.sign_in('anna')['access_token']}"
        with pytest.raises(error):
            client.get("/v1/me/player")
        assert client.get("/v1/me/player").json()["item"]["id"] == "sl_track_A"
