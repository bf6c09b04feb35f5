"""What `soundlake spotify status` says, and when it is an alarm."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.spotify_home import run

from soundlake.spotify.collection import Gap, History
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.poller.listening_store import Listening
from soundlake.spotify.status import read_spotify_status


def read(home):
    return read_spotify_status(home.make_records(), home.clock())


@pytest.mark.parametrize(
    ("days_left", "warning", "is_well"), [(31, None, True), (30, 30, False), (8, 30, False), (7, 7, False), (2, 7, False), (1, 1, False)]
)
def test_a_sign_in_is_announced_thirty_seven_and_one_days_before(tmp_path, days_left, warning, is_well):
    async def main(home):
        account = home.connect("anna").account
        due = home.store.read(account).sign_in_due_at
        home.clock.set(now=due - timedelta(days=days_left))
        home.make_records().histories.write(History(account, answered_at=home.clock()))
        return read(home)

    status = run(tmp_path, main)
    (account,) = status.accounts
    assert (account.days_until_sign_in, account.sign_in_warning, status.is_well) == (days_left, warning, is_well)
    assert is_well or "sign in within" in status.alarms[0]


def test_a_wait_of_the_app_is_shown_with_its_reason_and_its_end_for_each_account(tmp_path):
    async def main(home):
        clients = [home.connect(user) for user in ("anna", "ben")]
        home.fake.faults.add(Fault("quota_exceeded", count=1))
        with pytest.raises(Exception, match="QUOTA_EXCEEDED"):
            await clients[0].get_player()
        return read(home), home.clock()

    status, now = run(tmp_path, main)
    assert [(one.wait.party, one.wait.reason, one.wait.until - now) for one in status.accounts] == [
        ("developer", "quota", timedelta(seconds=52_531))
    ] * 2
    assert len(status.alarms) == 2
    assert status.as_json()["is_well"] is False


def test_silence_is_an_alarm_that_names_the_failure_or_the_command(tmp_path):
    async def main(home):
        account, now = home.connect("anna").account, home.clock()
        records = home.make_records()
        gap = Gap(now - timedelta(hours=9), now - timedelta(hours=8), now)
        records.histories.write(History(account, answered_at=now, gaps=[gap], plays=3))
        records.listenings.write(Listening(account, answered_at=now))
        well = read(home)
        await home.clock.sleep(7_200)
        silent = read(home)
        records.histories.write(History(account, answered_at=now, failure="the disk is full"))
        records.listenings.write(Listening(account, answered_at=now, failed_since=now, failure="no network"))
        return well, silent, read(home)

    well, silent, failing = run(tmp_path, main)
    assert (well.alarms, len(well.accounts[0].gaps), well.accounts[0].plays) == ((), 1, 3)
    assert ["spotify backfill" in silent.alarms[0], "spotify poll" in silent.alarms[1]] == [True, True]
    assert ["the disk is full" in failing.alarms[0], "no network" in failing.alarms[1]] == [True, True]


def test_a_poller_that_never_had_an_answer_is_degraded_at_once_and_silent_later(tmp_path):
    async def main(home):
        account, now = home.connect("anna").account, home.clock()
        home.make_records().listenings.write(Listening(account, failed_since=now, failure="no network"))
        at_once = read(home)
        await home.clock.sleep(1_201)
        return at_once, read(home)

    at_once, later = run(tmp_path, main)
    assert (at_once.accounts[0].health, at_once.is_well, at_once.accounts[0].live_failure) == ("degraded", True, "no network")
    assert (later.accounts[0].health, later.is_well) == ("silent", False)
    assert "nothing followed since 2026-01-01 20:00 UTC: no network" in later.alarms[0]


@pytest.mark.parametrize("was_asked", [True, False])
def test_history_that_never_came_is_an_alarm_once_it_was_asked_for(tmp_path, was_asked):
    async def main(home):
        account, now = home.connect("anna").account, home.clock()
        if was_asked:
            home.make_records().histories.write(History(account, asked_at=now, failure="no network"))
        await home.clock.sleep(3_601)
        return read(home)

    alarms = run(tmp_path, main).alarms
    assert ["no history since 2026-01-01 20:00 UTC: no network" in alarm for alarm in alarms] == [True] * was_asked


@pytest.mark.parametrize(("days", "plays", "is_quiet"), [(3, 40, False), (5, 40, True), (5, 19, False)])
def test_answers_without_a_play_for_longer_than_ever_are_an_alarm(tmp_path, days, plays, is_quiet):
    async def main(home):
        account, now = home.connect("anna").account, home.clock()
        heard = [(now - timedelta(days=days, hours=12 * n, minutes=3), now - timedelta(days=days, hours=12 * n)) for n in range(plays)]
        records = home.make_records()
        records.histories.write(History(account, answered_at=now))
        records.listenings.write(Listening(account, answered_at=now, heard=heard))
        return read(home)

    status = run(tmp_path, main)
    assert [alarm for alarm in status.alarms if "no play since" in alarm] == list(status.alarms)
    assert (bool(status.alarms), status.accounts[0].health == "silent") == (is_quiet, is_quiet)


def test_the_status_names_the_process_that_follows_an_account_and_leaves_its_lease_alone(tmp_path):
    async def main(home):
        account = home.connect("anna").account
        records = home.make_records()
        before = read(home).accounts[0].followed_by
        with records.listenings.try_lease(account, home.clock()):
            during = read(home).accounts[0].followed_by
        return before, during, read(home).accounts[0].followed_by

    before, during, after = run(tmp_path, main)
    assert (before, during.pid, after) == (None, os.getpid(), None)


def test_no_representation_of_a_status_holds_a_token(tmp_path):
    async def main(home):
        connection = home.store.read(home.connect("anna").account)
        home.store.write(replace(connection, refused_at=home.clock()))
        status = read(home)
        return connection, f"{status!r}{status.as_json()}"

    connection, text = run(tmp_path, main)
    assert connection.access_token not in text
    assert connection.refresh_token not in text


def test_who_waits_is_silent_for_that_reason_and_named_once(tmp_path):
    async def main(home):
        client = home.connect("anna")
        home.make_records().histories.write(History(client.account, asked_at=home.clock()))
        home.fake.faults.add(Fault("quota_exceeded"))
        await home.clock.sleep(7_200)
        with pytest.raises(Exception, match="QUOTA_EXCEEDED"):
            await client.get_player()
        return read(home)

    status = run(tmp_path, main)
    assert (len(status.alarms), "quota" in status.alarms[0], status.accounts[0].health) == (1, True, "silent")
