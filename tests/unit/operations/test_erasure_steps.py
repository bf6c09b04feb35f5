"""The erasure of a home, with a fake log and no builds: its steps, its journal, its receipt."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from soundlake.errors import Unavailable
from soundlake.lake import Lake, Scope
from soundlake.local_files import try_lock
from soundlake.operations.erasure import Erasure, Kept, Places
from soundlake.operations.generator.feed import TRACKS_FILE
from soundlake.progress import StepList
from soundlake.settings import Address
from soundlake.spotify.budget import RequestBudget
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.leaving import ConnectedAccounts
from soundlake.spotify.poller import ListeningStore
from soundlake.spotify.tokens import Connection, FileTokenStore

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEPT = (Kept("Kafka topic user_plays", NOW, "by age"),)


class FakeLog:
    """A log with three records of theirs; `failures` of the next erasures fail."""

    def __init__(self) -> None:
        self.left, self.failures = 3, 0

    def count(self, _find) -> int:
        return self.left

    def erase(self, _find) -> int:
        if self.failures:
            self.failures -= 1
            raise KeyboardInterrupt
        found, self.left = self.left, 0
        return found


@contextmanager
def hold_nothing():
    yield


@pytest.fixture
def places(tmp_path) -> Places:
    lake = Lake(Address(f"file://{tmp_path}/lake", "file", path=tmp_path / "lake"))
    lake.ensure_tables()
    spotify = tmp_path / "spotify"
    accounts = ConnectedAccounts(
        FileTokenStore(spotify / "accounts"), RequestBudget(spotify / "budget.json"), HistoryStore(spotify / "history"),
        ListeningStore(spotify / "listening"),
    )  # fmt: skip
    accounts.store.write(Connection("anna-spotify", "anna", "app", NOW, NOW, NOW, refresh_token="secret"))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "spotify-poll.log").write_text("anna-spotify: nothing plays\nannalise: nothing plays\n")
    return Places(tmp_path, lake, tmp_path / "warehouse", accounts, FakeLog(), lambda: KEPT, lambda _wait_seconds: None, hold_nothing)


def make_erasure(places: Places, *user_ids: str, scope: Scope = Scope.EVERYTHING) -> Erasure:
    return Erasure(places, user_ids or ("anna",), scope, lambda: NOW, StepList())


def test_a_plan_names_what_there_is_and_changes_nothing(places):
    plan = make_erasure(places).plan()
    assert (plan.accounts, plan.found, plan.kept) == (("anna-spotify",), {"Spotify accounts": 1, "event log": 3, "logs": 1}, KEPT)
    assert places.log.left == 3
    assert not places.lake.tombstones.read().hashes


def test_everything_is_erased_and_the_receipt_names_nobody(places, tmp_path):
    receipt = make_erasure(places).run()
    assert receipt.deleted == {"tombstones": 1, "Spotify accounts": 1, "event log": 3, "logs": 1}
    assert places.accounts.store.list_accounts() == []
    assert places.lake.tombstones.read().covers("anna")
    assert (tmp_path / "logs" / "spotify-poll.log").read_text() == "************: nothing plays\nannalise: nothing plays\n"
    (path,) = (tmp_path / "erasure" / "receipts").iterdir()
    kept = json.loads(path.read_text())
    assert (kept["action"], kept["listeners"], kept["accounts"]) == ("forget", [places.lake.tombstones.read().hash("anna")], 1)
    assert kept["kept"][0]["place"] == "Kafka topic user_plays"
    assert "anna" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "erasure").iterdir() if path.suffix == ".journal"] == []


def test_an_interrupted_erasure_resumes_and_the_receipt_has_all_counts(places, tmp_path):
    places.log.failures = 2
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            make_erasure(places).run()
    (journal,) = (tmp_path / "erasure").glob("*.journal")
    assert json.loads(journal.read_text())["done"] == ["tombstones", "Spotify accounts"]
    assert journal.stat().st_mode & 0o777 == 0o600
    receipt = make_erasure(places).run()
    assert (receipt.deleted["event log"], receipt.accounts) == (3, 1)


def test_a_step_that_was_killed_after_its_work_is_counted_once(places):
    erasure = make_erasure(places)
    erase = places.log.erase

    def erase_and_die(find) -> int:
        erase(find)
        places.log.erase = erase
        raise KeyboardInterrupt

    places.log.erase = erase_and_die
    with pytest.raises(KeyboardInterrupt):
        erasure.run()
    assert make_erasure(places).run().deleted["event log"] == 3


def test_a_broken_journal_begins_with_the_first_step(places, tmp_path):
    places.log.failures = 1
    with pytest.raises(KeyboardInterrupt):
        make_erasure(places).run()
    (journal,) = (tmp_path / "erasure").glob("*.journal")
    journal.write_text("{")
    assert make_erasure(places).run().deleted["event log"] == 3


def test_one_erasure_runs_at_a_time(places, tmp_path):
    with try_lock(tmp_path / "erasure" / "erasure.lock"), pytest.raises(Unavailable, match="another erasure"):
        make_erasure(places).run()


def test_disconnecting_by_account_forgets_what_came_from_the_api_for_its_listener(places):
    receipt = make_erasure(places, "anna-spotify", scope=Scope.SPOTIFY_API).run()
    forgotten = places.lake.tombstones.read()
    assert (receipt.action, receipt.accounts) == ("disconnect", 1)
    assert forgotten.covers("anna", "spotify_live")
    assert not forgotten.covers("anna", "spotify_export")
    assert not forgotten.covers("anna-spotify", "spotify_live")


def test_a_disconnection_that_was_interrupted_still_knows_the_listener(places):
    places.log.failures = 1
    with pytest.raises(KeyboardInterrupt):
        make_erasure(places, "anna-spotify", scope=Scope.SPOTIFY_API).run()
    make_erasure(places, "anna-spotify", scope=Scope.SPOTIFY_API).run()
    assert {scope for scope, _ in places.lake.tombstones.read().hashes} == {Scope.SPOTIFY_API}
    assert places.lake.tombstones.read().covers("anna", "spotify_live")
    assert not places.lake.tombstones.read().covers("anna-spotify", "spotify_live")


def test_a_home_on_kafka_erases_no_log_and_the_demo_of_a_listener_loses_its_state(places, tmp_path):
    (tmp_path / "demo.json").write_text('{"listeners": 1, "days": 1, "seed": 1, "tracks": 1, "start": "2026-01-01", "person": "anna"}')
    (tmp_path / TRACKS_FILE).write_text("tracks")
    assert "state of the demo" not in make_erasure(places, "ben").run().deleted
    assert make_erasure(replace(places, log=None)).run().deleted["state of the demo"] == 2
    assert not (tmp_path / "demo.json").exists()
