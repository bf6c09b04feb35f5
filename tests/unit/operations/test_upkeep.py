"""Upkeep beside the sink: what it deletes, what it must keep, and that the counts of log and bronze still match."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable

from soundlake.broker import EmbeddedBroker
from soundlake.broker.memory import MemoryBroker
from soundlake.contract import DLQ_TOPIC, TOPICS
from soundlake.errors import SettingsError, Unavailable
from soundlake.lake import Lake, make_position_app_id
from soundlake.operations.dead_letters import DeadLetterFilter, Replayer
from soundlake.operations.upkeep import Upkeep
from soundlake.progress import StepList
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits

START = datetime(2026, 2, 27, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


class Deployment:
    """A log and a lake whose clock is set by hand."""

    def __init__(self, folder, make_broker) -> None:
        self.now = START
        self.broker = make_broker(lambda: self.now)
        self.broker.create_topics(TOPICS, partitions=2)
        self.lake = Lake(Address(f"file://{folder}/lake", "file", path=folder / "lake"))
        self.lake.ensure_tables()

    def publish(self, *values: bytes, topic="user_plays", key=b"ann") -> None:
        self.broker.append(topic, [key] * len(values), list(values))

    def drain(self) -> None:
        Sink(self.broker, self.lake, SinkLimits(max_events=3), clock=lambda: self.now).run(until_drained=True)

    def upkeep(self, **kept) -> Upkeep:
        return Upkeep(self.lake, lambda: self.now, log=self.broker, **kept)

    def held(self, topic="user_plays") -> list[tuple[int, int]]:
        return [(held.begin, held.end) for held in self.broker.offsets(topic).values() if held.end]

    def adds_up(self) -> bool:
        return all(check.ok for check in check_log(self.broker, self.lake))


@pytest.fixture(params=["memory", "embedded"])
def deployment(request, tmp_path) -> Deployment:
    make = {"memory": MemoryBroker, "embedded": lambda clock: EmbeddedBroker(tmp_path / "broker.db", clock)}
    return Deployment(tmp_path, make[request.param])


def play(at: datetime, **more) -> bytes:
    fields = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": "ann", "played_at": at.isoformat(), **more}
    return json.dumps(fields).encode()


def test_old_records_are_trimmed_from_the_log_and_the_sink_continues(deployment):
    for day in (0, 1, 8, 9):
        deployment.now = START + timedelta(days=day)
        deployment.publish(play(deployment.now), b"nonsense")
        deployment.drain()
    report = deployment.upkeep(log_retention=WEEK).run_once()
    assert report.records_trimmed == {"user_plays": 4, DLQ_TOPIC: 2}
    assert deployment.held() == [(4, 8)]
    assert deployment.adds_up()
    deployment.publish(play(deployment.now))
    deployment.drain()
    assert deployment.adds_up()
    assert deployment.upkeep(log_retention=WEEK).run_once().records_trimmed == {}


def test_records_that_the_lake_does_not_hold_are_not_trimmed(deployment):
    deployment.publish(play(START), play(START))
    deployment.drain()
    deployment.publish(play(START))
    deployment.publish(play(START), topic="user_history")
    deployment.now += timedelta(days=99)
    deployment.upkeep(log_retention=WEEK).run_once()
    assert deployment.held() == [(2, 3)]
    assert deployment.held("user_history") == [(0, 1)]
    deployment.drain()
    assert deployment.lake.read("plays").num_rows == 3


def test_records_that_an_interrupted_replay_searches_for_are_not_trimmed(deployment, tmp_path):
    deployment.publish(play(START + timedelta(days=2)))
    deployment.drain()
    deployment.now += timedelta(days=5)

    def die(point: str) -> None:
        if point == "published":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Replayer(deployment.broker, deployment.lake, tmp_path, StepList(), clock=lambda: deployment.now, on_checkpoint=die).replay(
            DeadLetterFilter()
        )
    deployment.drain()
    deployment.now += timedelta(days=99)
    deployment.upkeep(log_retention=WEEK).run_once()
    assert deployment.held() == [(1, 2)]
    replayer = Replayer(deployment.broker, deployment.lake, tmp_path, StepList(), clock=lambda: deployment.now)
    assert replayer.replay(DeadLetterFilter()).interrupted_published == 1
    deployment.upkeep(log_retention=WEEK).run_once()
    assert deployment.held() == [(2, 2)]


def test_rows_are_deleted_by_event_time_once_they_are_stored_as_long(deployment):
    leap_day = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)
    deployment.publish(play(leap_day), play(START - timedelta(hours=1)), play(START), b"nonsense")
    deployment.publish(play(leap_day), play(START), topic="user_history")
    deployment.drain()
    upkeep = deployment.upkeep(row_retention=timedelta(days=30))
    deployment.now = START + timedelta(days=29)
    assert upkeep.run_once().rows_dropped == {}
    deployment.publish(play(leap_day))
    deployment.drain()
    deployment.now = START + timedelta(days=30, hours=1)
    assert upkeep.run_once().rows_dropped == {"plays": 2, "history": 1}
    assert deployment.adds_up()
    deployment.now = START + timedelta(days=61)
    assert upkeep.run_once().rows_dropped == {"plays": 2, "history": 1, "rejected": 1}
    assert deployment.lake.read("plays").num_rows == 0
    assert deployment.adds_up()
    [(number, held)] = [(number, held) for number, held in deployment.broker.offsets("user_plays").items() if held.end]
    assert (
        deployment.lake.open_table("plays").read_position(
            make_position_app_id(deployment.broker.log_id("user_plays"), "user_plays", number)
        )
        == held.end - 1
    )
    deployment.publish(play(deployment.now))
    deployment.drain()
    assert deployment.adds_up()


def test_a_missing_row_that_retention_did_not_delete_is_still_found(deployment):
    deployment.publish(play(START), play(START + timedelta(days=1)))
    deployment.drain()
    deployment.now = START + timedelta(days=31, hours=1)
    assert deployment.upkeep(row_retention=timedelta(days=31)).run_once().rows_dropped == {"plays": 1}
    deployment.publish(play(deployment.now))
    deployment.drain()
    assert deployment.adds_up()
    DeltaTable(deployment.lake.find_uri("plays")).delete("_offset = 2")
    assert not deployment.adds_up()


def test_with_retention_of_log_and_rows_the_counts_match(deployment):
    for day in (0, 2, 4):
        deployment.now = START + timedelta(days=day)
        deployment.publish(play(deployment.now), play(deployment.now), b"{")
        deployment.drain()
        deployment.upkeep(log_retention=timedelta(days=2), row_retention=timedelta(days=3)).run_once()
        assert deployment.adds_up()
    assert deployment.lake.read("plays").num_rows == 4
    assert deployment.held()[0][0] > 0


def test_without_retention_settings_nothing_is_deleted(deployment):
    deployment.publish(play(START), b"{")
    deployment.drain()
    deployment.now += timedelta(days=9_999)
    report = deployment.upkeep().run_once()
    assert (report.rows_dropped, report.records_trimmed) == ({}, {})
    assert deployment.held() == [(0, 2)]
    assert deployment.lake.read("plays").num_rows == 1


def test_a_vacuum_runs_every_six_hours_or_on_request(deployment):
    asked = []
    lake = deployment.lake

    class Watched:
        def compact(self, now, *, vacuum_retention_hours):
            asked.append(vacuum_retention_hours)
            return lake.compact(now, vacuum_retention_hours=vacuum_retention_hours)

    upkeep = Upkeep(Watched(), lambda: deployment.now, vacuum_hours=48)
    upkeep.run_once()
    deployment.now += timedelta(hours=6)
    upkeep.run_once()
    upkeep.run_once()
    upkeep.run_once(vacuum=True)
    assert asked == [None, 48, None, 48]


@pytest.mark.parametrize(("error", "rounds"), [(Unavailable("down"), 3), (SettingsError("wrong key"), 1)], ids=["retryable", "permanent"])
def test_a_failed_round_is_repeated_if_the_error_is_retryable(error, rounds):
    done, stop = [], threading.Event()

    class Failing(Upkeep):
        def run_once(self, **_: object):
            done.append(1)
            if len(done) == 3:
                stop.set()
            raise error

    upkeep = Failing(None, lambda: START)
    if rounds == 3:
        upkeep.run_every(0.01, stop)
    else:
        with pytest.raises(SettingsError):
            upkeep.run_every(0.01, stop)
    assert len(done) == rounds
