"""Tokens: refreshed once, kept whole, and given up only where they have ended."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.spotify_home import SpotifyHome, run
from tests.spotify_processes import refresh_in_processes, serve, start_refresh_that_dies

from soundlake.errors import Unavailable
from soundlake.spotify.errors import AccountMismatch, NeedsReauthorization
from soundlake.spotify.fake import AdjustableClock, FakeApp, FakeSpotify
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.tokens import Connection, FileTokenStore, KeyringTokenStore
from soundlake.spotify.tokens.refused_grants import Verdict, judge_refused

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONNECTION = Connection("acc-u1", "anna", "app", NOW, NOW + timedelta(hours=1), NOW, "access", "refresh", ("a", "b"))


@pytest.mark.parametrize("rotates", [False, True], ids=["keeps", "rotates"])
def test_eight_processes_make_one_refresh(tmp_path, rotates):
    result = refresh_in_processes(tmp_path, 8, rotates=rotates)
    assert (result.posts, len(set(result.access_tokens)), result.mode, result.is_refresh_token_right) == (1, 1, 0o600, True)


@pytest.mark.parametrize("rotates", [False, True], ids=["keeps", "rotates"])
@pytest.mark.parametrize(
    ("write", "after"), [(1, False), (1, True), (2, False), (2, True)], ids=["asked", "asked+", "answered", "answered+"]
)
def test_a_refresh_that_is_killed_loses_only_what_nobody_could_keep(tmp_path, rotates, write, after):
    fake = FakeSpotify(AdjustableClock(datetime.now(UTC)))
    fake.add_app(FakeApp(rotates_refresh_tokens=rotates))
    home = SpotifyHome(fake, fake.clock, tmp_path)
    account = home.connect("u1").account
    home.store.write(replace(home.store.read(account), expires_at=datetime.now(UTC)))
    with serve(fake) as url:
        assert start_refresh_that_dies(tmp_path, url, account, write, after) == -signal.SIGKILL
    if rotates and (write, after) == (2, False):  # the old token is spent, and the answer with the new one is gone
        with pytest.raises(NeedsReauthorization):
            home.tokens.get(account)
    else:
        assert home.tokens.get(account) == home.store.read(account).access_token
    assert home.store.read(account).listener == account


def test_a_file_is_its_owners_only_from_the_first_byte_on(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", os.umask)
    before = os.umask(0)
    modes = []

    class Watching(FileTokenStore):
        def write(self, connection):
            real = os.open

            def note(path, *arguments, **options):
                descriptor = real(path, *arguments, **options)
                modes.append((stat.S_IMODE(os.fstat(descriptor).st_mode), os.fstat(descriptor).st_size))
                return descriptor

            with monkeypatch.context() as patch:
                patch.setattr(os, "open", note)
                super().write(connection)

    try:
        Watching(tmp_path / "accounts").write(CONNECTION)
    finally:
        os.umask(before)
    assert modes[0] == (0o600, 0)
    assert {mode for mode, _ in modes} == {0o600}
    assert (tmp_path / "accounts").stat().st_mode & 0o077 == 0
    assert FileTokenStore(tmp_path / "accounts").read("acc-u1") == CONNECTION


def test_accounts_whose_ids_differ_in_case_or_hold_slashes_have_files_of_their_own(tmp_path):
    store = FileTokenStore(tmp_path)
    for account in ("Anna", "anna", "../anna"):
        store.write(replace(CONNECTION, account=account))
    assert store.list_accounts() == ["../anna", "Anna", "anna"]
    assert len({path.name.lower() for path in tmp_path.glob("*.json")}) == 3
    store.delete("Anna")
    store.delete("Anna")
    assert store.list_accounts() == ["../anna", "anna"]


def test_a_broken_file_is_named_and_not_shown(tmp_path):
    store = FileTokenStore(tmp_path)
    store.write(CONNECTION)
    store.find_path("acc-u1").write_text('{"account": "canary-in-a-broken-file')
    with pytest.raises(Unavailable) as refused:
        store.read("acc-u1")
    assert "canary" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_file_that_was_copied_over_anothers_is_not_used(tmp_path):
    store = FileTokenStore(tmp_path)
    store.write(CONNECTION)
    shutil.copy(store.find_path("acc-u1"), store.find_path("acc-u2"))
    with pytest.raises(AccountMismatch, match="acc-u2"):
        store.read("acc-u2")


class MemoryKeyring:
    def __init__(self):
        self.kept = {}

    def get_password(self, service, name):
        return self.kept.get((service, name))

    def set_password(self, service, name, password):
        self.kept[service, name] = password

    def delete_password(self, service, name):
        del self.kept[service, name]


def test_a_keyring_keeps_the_tokens_and_no_file_holds_them(tmp_path):
    keyring = MemoryKeyring()
    store = KeyringTokenStore(tmp_path, keyring)
    store.write(CONNECTION)
    assert store.read("acc-u1") == CONNECTION
    assert all(b'refresh"' not in path.read_bytes() and b'access"' not in path.read_bytes() for path in tmp_path.glob("*.json"))
    store.delete("acc-u1")
    assert (store.read("acc-u1"), keyring.kept, store.list_accounts()) == (None, {}, [])


def test_tokens_are_in_no_representation():
    assert "refresh" not in repr(replace(CONNECTION, refreshed_at=NOW)).replace("refreshed_at", "")
    assert b"refresh" in msgspec.json.encode(CONNECTION)


MINUTES = [timedelta(minutes=number) for number in range(200)]


def refused(account, minute=0, **changes):
    return replace(CONNECTION, account=account, refused_at=NOW + MINUTES[minute], **changes)


HEALTHY = replace(CONNECTION, account="b", refreshed_at=NOW + MINUTES[20])
IDLE = replace(CONNECTION, account="b", refreshed_at=NOW - MINUTES[20])
GONE = replace(CONNECTION, account="c", refresh_token=None, refused_at=NOW - timedelta(days=90))
RECOVERED = replace(CONNECTION, account="b", refreshed_at=NOW + MINUTES[61], recovered_at=NOW + MINUTES[61])


@pytest.mark.parametrize(
    ("others", "minute", "verdict"),
    [
        ([], 0, Verdict.DISCARD),
        ([GONE], 0, Verdict.DISCARD),
        ([HEALTHY], 21, Verdict.DISCARD),
        ([refused("b"), HEALTHY], 21, Verdict.DISCARD),
        ([IDLE], 30, Verdict.WAIT),
        ([IDLE], 60, Verdict.DISCARD),
        ([refused("b", 5), refused("d", 40)], 59, Verdict.WAIT),
        ([refused("b", 5), refused("d", 40)], 60, Verdict.PROBE),
        ([RECOVERED], 62, Verdict.PROBE),
        ([refused("b", 5, refresh_token=None)], 62, Verdict.PROBE),
    ],
    ids=[
        "alone",
        "alone-now",
        "one-is-well",
        "one-of-two-is-well",
        "unknown",
        "unknown-an-hour",
        "all",
        "all-an-hour",
        "recovered",
        "given-up",
    ],
)
def test_a_refused_token_is_tried_again_only_where_all_were_refused(others, minute, verdict):
    assert judge_refused(refused("a"), others, NOW + MINUTES[minute]) is verdict


def test_an_authorization_of_six_months_has_ended_whatever_the_others_say():
    old = refused("a", authorized_at=NOW - timedelta(days=183))
    assert judge_refused(old, [refused("b")], NOW) is Verdict.DISCARD


def test_an_outage_that_lasts_ends_in_one_probe_an_account(tmp_path):
    async def main(home):
        clients = [home.connect(f"u{number}") for number in range(3)]
        await home.clock.sleep(7_200)
        home.fake.faults.add(Fault("invalid_grant"))
        before = home.count_calls("/api/token")
        for _ in range(60):
            for client in clients:
                with pytest.raises(NeedsReauthorization):
                    home.tokens.get(client.account)
            await home.clock.sleep(300)
        stored = [home.store.read(client.account) for client in clients]
        return home.count_calls("/api/token") - before, [one.refresh_token for one in stored], [one.listener for one in stored]

    posts, tokens, listeners = run(tmp_path, main)
    assert (posts, tokens, listeners) == (6, [None] * 3, ["acc-u0", "acc-u1", "acc-u2"])


def test_no_token_is_spent_where_its_successor_could_not_be_kept(tmp_path):
    async def main(home):
        account = home.connect("u1").account
        await home.clock.sleep(7_200)
        before = home.count_calls("/api/token")
        home.store.find_path(account).with_name(f".{home.store.find_path(account).name}.part").mkdir()
        with pytest.raises(OSError, match="part"):
            home.tokens.get(account)
        return home.count_calls("/api/token") - before

    assert run(tmp_path, main, apps=[FakeApp(rotates_refresh_tokens=True)]) == 0


@pytest.mark.parametrize("kind", ["html", "server_error", "empty", "rate_limited_no_header", "cut"])
def test_a_fault_of_the_accounts_host_costs_no_token(tmp_path, kind):
    async def main(home):
        account = home.connect("u1").account
        await home.clock.sleep(7_200)
        home.fake.faults.add(Fault(kind, paths=("/api/token",), count=1))
        before = home.store.read(account)
        with pytest.raises(Exception, match=r"accounts host|limits the refreshes") as failed:
            home.tokens.get(account)
        assert home.store.read(account) == before
        assert home.tokens.get(account)
        return type(failed.value).__name__

    assert run(tmp_path, main) == ("RateLimited" if kind.startswith("rate") else "Unavailable")
