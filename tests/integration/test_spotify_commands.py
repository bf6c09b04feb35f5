"""`soundlake spotify` as people run it, against a fake Spotify behind a socket; no secret is seen anywhere but in its own file."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.spotify_home import allow
from tests.spotify_processes import serve

from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify, write_timeline
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.tokens import FileTokenStore

SECRET = "canary-of-the-client-secret"


class Machine:
    """A home, a fake Spotify, and every line that a command wrote."""

    def __init__(self, fake, url, home):
        self.fake, self.home, self.written = fake, home, []
        self.environment = {
            **os.environ, "SOUNDLAKE_HOME": str(home), "SPOTIFY_CLIENT_ID": FakeApp().client_id, "SPOTIFY_CLIENT_SECRET": SECRET,
            "SPOTIFY_ACCOUNTS_URL": url, "SPOTIFY_API_URL": url,
        }  # fmt: skip

    def start(self, *arguments, **environment):
        command = [sys.executable, "-m", "soundlake.cli.app", *arguments]
        pipe = subprocess.PIPE
        folder = self.home.parent
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**self.environment, **environment}, cwd=folder
        )

    def run(self, *arguments, answer="", **environment):
        process = self.start(*arguments, **environment)
        out, err = process.communicate(answer, timeout=120)
        self.written += [out, err]
        return process.returncode, out, err

    def sign_in(self, user, *arguments, change=str, decision="allow"):
        """`login --paste`, answered as a person would."""
        process = self.start("spotify", "login", "--paste", *arguments)
        head = ""
        while "Paste its address" not in head:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            head += line
        address = re.search(r"http\S+/authorize\S+", head).group()
        self.command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        redirected = change(allow(self.fake, address, user, decision))
        self.codes = parse_qs(urlsplit(redirected).query).get("code", [])
        out, err = process.communicate(f"{redirected}\n", timeout=120)
        self.written += [head, out, err, self.command_line]
        return process.returncode, out, err


@pytest.fixture
def machine(tmp_path):
    now = datetime.now(UTC)
    fake = FakeSpotify(AdjustableClock(now))
    fake.add_app(FakeApp(client_secret=SECRET))
    begun_ms = int((now - timedelta(hours=2)).timestamp() * 1_000)
    for user in ("anna", "ben"):
        states = [{"run": [at, at + 200, name, 0]} for at, name in zip(range(0, 2_000, 200), "ABCDEFGHIJ", strict=True)]
        fake.add_account(write_timeline(user, begun_ms, dict.fromkeys("ABCDEFGHIJ", 200_000), [*states, {"none": [2_000, 90_000]}]))
    home = tmp_path / "home"
    home.mkdir()
    with serve(fake) as url:
        yield Machine(fake, url, home)


def test_sign_in_history_and_status_without_a_secret_in_sight(machine):
    code, out, _ = machine.sign_in("anna", "--user", "me")
    assert (code, "as the listener me" in out) == (0, True)
    store = FileTokenStore(machine.home / "spotify" / "accounts")
    tokens = [store.read("acc-anna")]

    for plays in (10, 0):
        code, out, err = machine.run("spotify", "backfill", "--json")
        assert (code, json.loads(out)["accounts"][0]["plays"]) == (0, plays), err
    code, out, _ = machine.run("spotify", "status", "--json")
    status = json.loads(out)
    (account,) = status["accounts"]
    assert (code, status["is_well"], account["listener"], account["plays"]) == (0, True, "me", 10)
    assert account["days_until_sign_in"] == 182
    assert status["apps"][0]["calls_in_day"] == 5  # one of the sign-in, two of each backfill

    for kind in ("unauthorized", "closed", "rate_limited_hours"):
        number = machine.fake.faults.add(Fault(kind))
        code, _, err = machine.run("--debug", "--log-json", "spotify", "backfill")
        assert code == 1, (kind, err)
        machine.fake.faults.remove(number)
        tokens.append(store.read("acc-anna"))
        (machine.home / "spotify" / "budget.json").unlink()
    store.write(replace(tokens[-1], expires_at=datetime.now(UTC)))
    machine.fake.faults.add(Fault("invalid_grant", count=1))
    assert machine.run("--debug", "spotify", "backfill")[0] == 1
    code, out, _ = machine.run("spotify", "status")
    assert (code, "has to sign in again" in out) == (1, True)
    assert store.read("acc-anna").refresh_token is None

    code, out, _ = machine.sign_in("anna")
    assert (code, "as the listener me" in out) == (0, True)
    assert machine.run("spotify", "status")[0] == 0
    tokens.append(store.read("acc-anna"))
    secrets = {SECRET, *machine.codes, *(token for one in tokens for token in (one.access_token, one.refresh_token))}
    assert len(secrets) > 5
    assert not [secret for secret in secrets if any(secret in text for text in machine.written)]
    holders = [path for path in machine.home.rglob("*") if path.is_file() and any(one.encode() in path.read_bytes() for one in secrets)]
    assert holders == [store.find_path("acc-anna")]
    assert store.find_path("acc-anna").stat().st_mode & 0o777 == 0o600


def test_sign_ins_that_end_badly_have_their_exit_codes_and_say_what_to_do(machine):
    code, _, err = machine.sign_in("anna", change=lambda address: re.sub("state=[^&]*", "state=other", address))
    assert (code, "its state differs" in err) == (3, True)
    code, _, err = machine.sign_in("anna", decision="cancel")
    assert (code, "access_denied" in err) == (3, True)
    code, _, err = machine.run("spotify", "login", "--paste", answer="\n")
    assert (code, "no address was pasted" in err) == (3, True)
    code, _, err = machine.run("spotify", "login", SPOTIFY_REDIRECT_URI="http://localhost:8888/callback")
    assert (code, "refuses localhost" in err, "http://127.0.0.1:8888/callback" in err) == (2, True, True)
    code, _, err = machine.run("spotify", "login", SPOTIFY_CLIENT_ID="")
    assert (code, "SPOTIFY_CLIENT_ID is not set" in err) == (2, True)
    code, out, _ = machine.run("spotify", "status")
    assert (code, "no account is connected" in out) == (0, True)


def test_a_collector_that_runs_sees_a_new_account_and_stops_within_two_seconds(machine):
    machine.sign_in("anna")
    process = machine.start("spotify", "backfill", "--every", "10m")
    assert "acc-anna: 10 new plays" in process.stderr.readline()
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - begun < 2) == (0, True)


@pytest.mark.parametrize("answer", [True, False], ids=["answered", "not answered"])
def test_a_browser_that_ends_on_the_callback_signs_in(machine, answer):
    opened = machine.home.parent / "opened"
    browser = machine.home.parent / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part\nmv {opened}.part {opened}\n')
    browser.chmod(0o755)
    redirect = f"http://127.0.0.1:{find_free_port()}/callback"
    next(iter(machine.fake.apps.values())).redirect_uris.append(redirect)
    process = machine.start(
        "spotify", "login", "--timeout", "60s" if answer else "1s", BROWSER=f"{browser} %s &", SPOTIFY_REDIRECT_URI=redirect
    )
    if not answer:
        assert "no answer of the sign-in" in process.communicate(timeout=60)[1]
        assert process.returncode == 1
        return
    deadline = time.monotonic() + 60
    while not opened.exists():
        assert time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.05)
    page = httpx.get(allow(machine.fake, opened.read_text().strip(), "ben"))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, page.status_code, "connected: " in out) == (0, 200, True), err


def find_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_account_stays_with_the_hosts_that_it_was_connected_at(machine):
    machine.sign_in("anna")
    elsewhere = {"SPOTIFY_ACCOUNTS_URL": "http://127.0.0.1:9", "SPOTIFY_API_URL": "http://127.0.0.1:9", "SPOTIFY_CLIENT_ID": "0" * 32}
    code, out, err = machine.run("spotify", "backfill", "--json", **elsewhere)
    assert (code, json.loads(out)["accounts"][0]["plays"]) == (0, 10), err


def test_the_status_of_a_home_without_accounts_names_the_stack_that_has_some(machine):
    stack = machine.home / "stack"
    stack.mkdir()
    machine.environment["SOUNDLAKE_HOME"] = str(stack)
    machine.sign_in("anna")
    code, out, _ = machine.run("spotify", "status", SOUNDLAKE_HOME=str(machine.home))
    assert (code, f"SOUNDLAKE_HOME={stack} soundlake spotify status" in out) == (0, True), out
