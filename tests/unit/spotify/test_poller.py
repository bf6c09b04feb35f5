"""The poller of all connected accounts, against the fake Spotify in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import os
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from tests.spotify_home import START, T0_MS, run

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.spotify.budget import AppUse, Limits
from soundlake.spotify.fake import write_timeline
from soundlake.spotify.fake.faults import Fault
from soundlake.spotify.plays.planner import Pace
from soundlake.spotify.poller import ListeningStore, Poller, find_pace

TRACKS = {"A": 200_000, "B": 180_000, "C": 150_000}
TWO_SONGS = [{"run": [0, 200, "A", 0]}, {"run": [200, 380, "B", 0]}, {"none": [380, 90_000]}]


class Followed:
    """A poller, the log that it publishes to, and what it reported, showed and announced."""

    def __init__(self, home, folder, *states, user="anna"):
        self.home, self.reports, self.shown, self.songs = home, [], [], []
        for number, of_account in enumerate(states or (TWO_SONGS,)):
            name = user if number == 0 else f"{user}{number}"
            home.fake.add_account(write_timeline(name, T0_MS, TRACKS, of_account))
            home.connect(name)
        self.broker = MemoryBroker(home.clock)
        self.broker.create_topics(TOPICS, partitions=1)
        self.folder = folder / "listening"
        self.app = home.find_app()
        self.restart()

    def restart(self):
        self.poller = Poller(
            store=self.home.store, listenings=ListeningStore(self.folder),
            make_client=lambda one: self.home.make_client(one.account, self.app), publisher=Publisher(self.broker, self.home.clock),
            clock=self.home.clock, sleep=self.home.clock.sleep,
            find_pace=lambda one, count: find_pace(self.home.budget.measure_use(self.home.make_client(one.account, self.app).app), count),
            show=lambda listener, current: self.shown.append((listener, current)), observer=self,
        )  # fmt: skip

    async def take_song(self, listener, song):
        self.songs.append((listener, song.song.name, (self.home.clock() - START).total_seconds() - (song.started_ms - T0_MS) / 1000))

    async def run_for(self, seconds):
        task = asyncio.ensure_future(self.poller.run(self.reports.append))
        await self.home.clock.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def list_events(self, topic="user_plays"):
        (partition,) = self.broker.partitions(topic)
        records = self.broker.fetch(topic, partition, 0, max_records=100_000, max_bytes=10**9)
        return [orjson.loads(value) for value in records.values.to_pylist()]

    def list_plays(self):
        return [(event["track_name"], event["played_at"][11:19], round(event["ms_played"], -4)) for event in self.list_events()]


BOTH = [("Song A", "20:00:00", 200_000), ("Song B", "20:03:20", 180_000)]


def test_plays_are_published_with_their_time_and_each_song_is_announced_in_seconds(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        await followed.run_for(600)
        return followed, home.count_calls("/v1/me/player")

    followed, calls = run(tmp_path, main)
    assert followed.list_plays() == BOTH
    assert [event["user_id"] for event in followed.list_events()] == [followed.songs[0][0]] * 2
    assert [song for _, song, _ in followed.songs] == ["Song A", "Song B"]
    assert max(late for _, _, late in followed.songs) < 10
    assert [event["track_name"] for event in followed.list_events("user_now_playing")] == ["Song A", "Song B"]
    assert followed.shown[-1][1] is None
    assert calls < 380 / 5 + 40  # slower once nothing plays


def test_the_first_account_is_followed_within_seconds_of_its_sign_in(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        connection = home.store.read("acc-anna")
        home.store.delete("acc-anna")
        task = asyncio.ensure_future(followed.run_for(60))
        await home.clock.sleep(15)
        home.store.write(connection)
        await task
        return followed.songs

    (_, name, seconds), *_ = run(tmp_path, main)
    assert name == "Song A"
    assert 15 <= seconds <= 18


def test_a_restart_in_mid_song_makes_one_play(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        for seconds in (33, 60, 140, 400):
            await followed.run_for(seconds)
            followed.restart()
        return followed

    assert run(tmp_path, main).list_plays() == BOTH


def test_without_its_state_a_restart_in_mid_song_would_make_two_ids(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        await followed.run_for(33)
        for path in followed.folder.glob("*.json"):
            path.unlink()
        followed.restart()
        await followed.run_for(500)
        return followed

    assert len(run(tmp_path, main).list_events("user_now_playing")) == 3


def test_events_that_cannot_be_published_wait_and_come_once(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        publish, followed.poller.publisher.publish = followed.poller.publisher.publish, lambda events: _Refused(len(events))
        await followed.run_for(300)
        assert followed.list_plays() == []
        followed.poller.publisher.publish = publish
        followed.restart()
        await followed.run_for(300)
        return followed

    followed = run(tmp_path, main)
    assert followed.list_plays() == BOTH
    assert len({event["event_id"] for event in followed.list_events("user_now_playing")}) == 2


class _Refused:
    failed_by_reason = ("the log is full",)
    acknowledged = 0

    def __init__(self, sent):
        self.sent = sent


@pytest.mark.parametrize("details", [{"status": 502, "body": "<html>"}, {"status": 500, "body": ""}])
def test_an_outage_is_named_with_its_beginning_and_its_end_is_seen_within_five_minutes(tmp_path, details):
    async def main(home):
        followed = Followed(home, tmp_path, [{"run": [0, 200, "A", 0]}, {"none": [200, 7_000]}, {"run": [7_000, 7_150, "C", 0]},
                                             {"none": [7_150, 90_000]}])  # fmt: skip
        home.fake.faults.add(
            Fault("respond", paths=("/v1/me/player*",), details=details, from_ms=T0_MS + 250_000, until_ms=T0_MS + 6_000_000)
        )
        await followed.run_for(3_000)
        during = followed.poller.listenings.read(home.store.list_accounts()[0])
        await followed.run_for(4_400)
        return followed, during, followed.poller.listenings.read(home.store.list_accounts()[0])

    followed, during, after = run(tmp_path, main)
    assert timedelta(seconds=240) < during.failed_since - START < timedelta(seconds=320)
    assert during.failure
    assert (after.failure, after.failed_since) == (None, None)
    (gap,) = after.gaps
    assert abs((gap.begins_at - START).total_seconds() - 250) <= 35
    assert abs((gap.ends_at - START).total_seconds() - 6_000) <= 301
    assert [round((end - begin).total_seconds(), -1) for begin, end in after.heard] == [200, 150]
    failures = [report.next_at for report in followed.reports if report.failure]
    assert max(later - sooner for sooner, later in itertools.pairwise(failures)) <= timedelta(minutes=5, seconds=1)
    assert [(name, at) for name, at, _ in followed.list_plays()] == [("Song A", "20:00:00"), ("Song C", "21:56:40")]


def test_a_token_of_another_account_follows_nobody(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path, [{"none": [0, 90_000]}], TWO_SONGS)
        of_other = home.store.read("acc-anna1")
        home.store.write(replace(of_other, account="acc-anna", listener="acc-anna"))
        await followed.run_for(600)
        return followed, home.find_park(home.make_client("acc-anna", home.find_app()))

    followed, park = run(tmp_path, main)
    assert {event["user_id"] for event in followed.list_events()} == {"acc-anna1"}
    assert park.reason.value == "other_account"
    assert {type(report.failure).__name__ for report in followed.reports if report.account == "acc-anna"} == {"AccountMismatch"}


def test_a_failure_of_the_first_call_and_of_an_observer_ends_nothing(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path)
        home.fake.faults.add(Fault("respond", paths=("/v1/me/player*",), details={"status": 502, "body": "x"}, count=1))

        class Broken:
            async def take_song(self, listener, song):
                raise RuntimeError("no recommendations")

        followed.poller.observer = Broken()
        await followed.run_for(600)
        return followed

    followed = run(tmp_path, main)
    assert followed.list_plays() == BOTH
    assert [report.failure is None for report in followed.reports[:2]] == [False, True]


def test_a_task_that_ended_with_an_error_is_named_and_begins_again(tmp_path, caplog):
    async def main(home):
        followed = Followed(home, tmp_path)
        followed.poller.store = _Stumbling(followed.poller.store)
        await followed.run_for(600)
        return followed

    followed = run(tmp_path, main)
    assert "ended with an error and begins again" in caplog.text
    assert followed.list_plays() == BOTH


class _Stumbling:
    """A store that cannot be read once."""

    def __init__(self, store):
        self.store, self.failures = store, 1

    def list_accounts(self):
        return self.store.list_accounts()

    def read(self, account):
        if self.failures:
            self.failures = 0
            raise PermissionError(account)
        return self.store.read(account)


def test_a_second_poller_names_the_first_and_takes_over_within_a_minute(tmp_path, caplog):
    async def main(home):
        first, second = Followed(home, tmp_path), None
        second = Followed.__new__(Followed)
        second.__dict__.update(first.__dict__ | {"reports": []})
        second.restart()
        running = asyncio.ensure_future(first.poller.run(first.reports.append))
        await home.clock.sleep(30)
        waiting = asyncio.ensure_future(second.poller.run(second.reports.append))
        await home.clock.sleep(70)
        assert second.reports == []
        running.cancel()
        await home.clock.sleep(60)
        assert second.reports
        await home.clock.sleep(500)
        waiting.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        return first

    followed = run(tmp_path, main)
    assert followed.list_plays() == BOTH
    assert f"process {os.getpid()}" in caplog.text


def test_several_accounts_share_the_calls_of_thirty_seconds(tmp_path):
    async def main(home):
        followed = Followed(home, tmp_path, TWO_SONGS, TWO_SONGS, TWO_SONGS)
        await followed.run_for(600)
        return followed

    followed = run(tmp_path, main, limits=Limits(6, 1_000))
    assert sorted(followed.list_plays()) == sorted(BOTH * 3)
    assert not [call for call in followed.home.fake.calls if call.status == 429]


def test_a_private_session_leaves_no_trace(tmp_path):
    async def main(home):
        private = {"with": {"is_private_session": True}}
        followed = Followed(home, tmp_path, [{"run": [0, 60, "A", 0]}, {"run": [60, 200, "A", 60_000], **private},
                                             {"run": [200, 350, "C", 0], **private}, {"none": [350, 90_000]}])  # fmt: skip
        await followed.run_for(600)
        text = b"".join(path.read_bytes() for path in followed.folder.iterdir())
        return followed, text

    followed, text = run(tmp_path, main)
    assert b"Song C" not in text
    assert [song for _, song, _ in followed.songs] == ["Song A"]


def test_the_pace_follows_the_budget():
    use = AppUse("app", calls_in_window=0, window_limit=6, calls_in_day=500, live_calls_in_day=450, live_limit=900, day_limit=1_000)
    assert find_pace(use, 1) == Pace(0.5, 6_200)
    assert find_pace(use, 3) == Pace(0.5, 18_600)


def test_an_unreadable_state_is_kept_aside(tmp_path):
    listenings = ListeningStore(tmp_path)
    path = listenings.find_path("a")
    path.write_text("{")
    assert listenings.read("a").outbox == []
    assert path.with_suffix(".unreadable").read_text() == "{"
