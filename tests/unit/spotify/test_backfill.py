"""History of connected accounts, against the fake Spotify."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
import pytest
from tests.spotify_home import START, T0_MS, run

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.publisher import Publisher
from soundlake.contract import TOPICS
from soundlake.spotify.backfill import Backfill
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.fake import write_timeline
from soundlake.spotify.fake.faults import Fault

SONG_S = 30


def play_songs(home, user, count, *, seconds=SONG_S, pause_after=None, pause_s=0):
    """An account that plays songs of this length, one after the other, each to its end."""
    states, tracks, at = [], {}, 0
    for number in range(count):
        name = f"T{number}"
        tracks[name] = seconds * 1_000
        states.append({"run": [at, at + seconds, name, 0]})
        at += seconds
        if number == pause_after:
            states.append({"none": [at, at + pause_s]})
            at += pause_s
    states.append({"none": [at, at + 1_000_000]})
    home.fake.add_account(write_timeline(user, T0_MS, tracks, states))


class Collector:
    """A backfill, the log that it publishes to, and what it reported."""

    def __init__(self, home, folder, *, listener=None):
        self.home, self.seen, self.reports = home, [], []
        self.broker = MemoryBroker(home.clock)
        self.broker.create_topics(TOPICS, partitions=1)
        self.histories = HistoryStore(folder / "history")
        self.app = home.find_app()
        self.restart()

    def restart(self):
        publisher = Publisher(self.broker, self.home.clock)
        self.backfill = Backfill(
            self.home.store, self.histories, lambda one: self.home.make_client(one.account, self.app), publisher, self.home.clock
        )

    async def run_for(self, seconds, every=timedelta(minutes=10)):
        task = asyncio.ensure_future(self.backfill.run(every, self.home.clock.sleep, self.reports.append))
        await self.home.clock.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def list_events(self):
        """The events in the log, as JSON."""
        (partition,) = self.broker.partitions("user_plays")
        records = self.broker.fetch("user_plays", partition, 0, max_records=100_000, max_bytes=10**9)
        return [orjson.loads(value) for value in records.values.to_pylist()]


def test_every_play_is_published_once_with_its_listener(tmp_path):
    async def main(home):
        play_songs(home, "anna", 200)
        home.connect("anna")
        collector = Collector(home, tmp_path)
        await collector.run_for(7_200)
        return collector.list_events(), collector.histories.read("acc-anna")

    events, history = run(tmp_path, main)
    assert len(events) == len({event["event_id"] for event in events}) == 200
    assert {(event["user_id"], event["source"], event["event_type"]) for event in events} == {("acc-anna", "spotify_recent", "play")}
    assert all(event.get("ms_played") is None for event in events)
    assert (history.plays, history.gaps, history.failure) == (200, [], None)


def test_the_first_account_is_asked_within_seconds_of_its_sign_in(tmp_path):
    async def main(home):
        play_songs(home, "anna", 20)
        collector = Collector(home, tmp_path)
        task = asyncio.ensure_future(collector.run_for(60))
        await home.clock.sleep(15)
        home.connect("anna")
        connected_at = home.clock()
        await task
        return collector.histories.read("acc-anna").asked_at - connected_at

    assert run(tmp_path, main) <= timedelta(seconds=3)


def test_a_restart_publishes_nothing_again_and_two_processes_do_not_either(tmp_path):
    async def main(home):
        play_songs(home, "anna", 40)
        home.connect("anna")
        collector = Collector(home, tmp_path)
        await collector.run_for(700)
        collector.restart()
        await home.clock.sleep(800)
        both = await asyncio.gather(collector.backfill.collect("acc-anna"), collector.backfill.collect("acc-anna"))
        return len(collector.list_events()), sorted(one.plays for one in both)

    count, both = run(tmp_path, main)
    assert (count, both[0], both[1] > 0) == (40, 0, True)


def test_what_could_not_be_published_is_published_later(tmp_path):
    class Refusing(MemoryBroker):
        is_down = True

        def append(self, topic, keys, values):
            if self.is_down:
                from soundlake.errors import DataError

                raise DataError("the disk is full")
            return super().append(topic, keys, values)

    async def main(home):
        play_songs(home, "anna", 10)
        home.connect("anna")
        collector = Collector(home, tmp_path)
        collector.broker = Refusing(home.clock)
        collector.broker.create_topics(TOPICS, partitions=1)
        collector.restart()
        await home.clock.sleep(1_000)
        failed = await collector.backfill.collect("acc-anna")
        failure = collector.histories.read("acc-anna").failure
        collector.broker.is_down = False
        return failed.failure, failure, await collector.backfill.collect("acc-anna"), len(collector.list_events())

    failed, failure, collected, count = run(tmp_path, main)
    assert "the disk is full" in failed.message
    assert failed.message == failure
    assert (collected.plays, count) == (10, 10)


def test_more_than_fifty_since_the_last_request_leave_a_gap_record_and_a_warning(tmp_path, caplog):
    async def main(home):
        play_songs(home, "anna", 300)
        home.connect("anna")
        collector = Collector(home, tmp_path)
        await collector.run_for(3_000, timedelta(minutes=10))
        collector.backfill.list_heard = lambda account: [(START, START + timedelta(seconds=3_030)), (START + timedelta(days=1),) * 2]
        home.fake.faults.add(Fault("bad_gateway", from_ms=home.clock.now_ms, until_ms=home.clock.now_ms + 2_700_000))
        await collector.run_for(6_600)
        played = home.fake.list_plays("anna")
        return collector.list_events(), collector.histories.read("acc-anna").gaps, played

    events, gaps, played = run(tmp_path, main)
    (gap,) = gaps
    assert gap.heard_live == ((gap.begins_at, START + timedelta(seconds=3_030)),)  # a live play closes a gap in part (M04)
    stored = {event["track_name"] for event in events}
    lost = [play for play in played if play.track.name not in stored]
    assert lost
    assert all(gap.begins_at <= START + timedelta(milliseconds=play.end_ms - T0_MS) <= gap.ends_at for play in lost)
    assert "may be missing" in caplog.text


def test_a_failure_is_tried_again_within_minutes_and_costs_no_other_account(tmp_path):
    async def main(home):
        for user in ("anna", "ben"):
            play_songs(home, user, 40)
            home.connect(user)
        home.fake.faults.add(Fault("bad_gateway", accounts=frozenset({"anna"}), until_ms=T0_MS + 600_000))
        collector = Collector(home, tmp_path)
        await collector.run_for(1_200)
        failures = [one for one in collector.reports if one.failure]
        assert {one.account for one in failures} == {"acc-anna"}
        return len(failures), {event["user_id"] for event in collector.list_events()}, collector.histories.read("acc-anna").failure

    failures, users, failure = run(tmp_path, main)
    assert 4 <= failures <= 6
    assert (users, failure) == ({"acc-anna", "acc-ben"}, None)


def test_a_limit_is_waited_for_and_no_call_is_made_before_its_end(tmp_path):
    async def main(home):
        play_songs(home, "anna", 10)
        home.connect("anna")
        collector = Collector(home, tmp_path)
        home.fake.faults.add(Fault("rate_limited", count=1, paths=("/v1/me/player/recently-played",), details={"retry_after": 19_056}))
        await collector.run_for(19_000)
        before = home.count_calls("/v1/me/player")
        await collector.run_for(400)
        return before, home.count_calls("/v1/me/player"), len(collector.list_events())

    assert run(tmp_path, main) == (1, 2, 10)


def test_a_revoked_account_keeps_its_data_and_goes_on_after_a_new_sign_in(tmp_path):
    async def main(home):
        play_songs(home, "anna", 400, seconds=200)
        home.connect("anna")
        collector = Collector(home, tmp_path)
        await collector.run_for(7_000)
        fault = home.fake.faults.add(Fault("invalid_grant"))
        await collector.run_for(14_000)
        stopped = len(collector.list_events())
        home.fake.faults.remove(fault)
        home.connect("anna")
        await collector.run_for(7_000)
        events = collector.list_events()
        return stopped, len(events), len({event["event_id"] for event in events}), len(collector.histories.read("acc-anna").gaps)

    stopped, count, different, gaps = run(tmp_path, main)
    assert stopped < count == different
    assert gaps == 1
