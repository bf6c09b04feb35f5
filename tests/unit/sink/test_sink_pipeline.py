"""The sink reads ahead of what it stores: how far, in which order, and what ends it. Logs and tables are in memory."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime

import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import Unavailable
from soundlake.lake import MemoryBronzeTables
from soundlake.sink import Sink, SinkLimits

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class WatchedBroker:
    """Wraps a log in memory: counts polled records, may hide a partition, fail, or be exchanged for another log."""

    def __init__(self, log: MemoryBroker) -> None:
        self.log = log
        self.polled = 0
        self.fails_after: int | None = None
        self.hidden: set[int] = set()
        self.before_poll = lambda: None
        self.has_polled = threading.Condition()

    def __getattr__(self, name):
        return getattr(self.log, name)

    def offsets(self, topic):
        return {number: held for number, held in self.log.offsets(topic).items() if number not in self.hidden}

    def poll(self, *place, **limits):
        if self.fails_after is not None and self.polled >= self.fails_after:
            raise Unavailable("the log is away")
        self.before_poll()
        runs = self.log.poll(*place, **limits)
        with self.has_polled:
            self.polled += sum(map(len, runs))
            self.has_polled.notify_all()
        return runs

    def wait_for_polled(self, count: int) -> bool:
        """Whether so many records were polled within 10 s."""
        with self.has_polled:
            return self.has_polled.wait_for(lambda: self.polled >= count, timeout=10)


def make_log(count: int, partitions: int = 1) -> MemoryBroker:
    log = MemoryBroker(clock=lambda: NOW)
    log.create_topics(TOPICS, partitions=partitions)
    publish(log, count)
    return log


def publish(log: MemoryBroker, count: int) -> None:
    event = {"event_type": "play", "played_at": "2026-02-28T23:59:59Z"}
    values = [json.dumps({"event_id": str(uuid.uuid4()), **event}).encode() for _ in range(count)]
    log.append(PLAYS.name, [b"listener-%d" % number for number in range(count)], values)


@pytest.fixture
def lake() -> MemoryBronzeTables:
    return MemoryBronzeTables()


def read_coordinates(lake: MemoryBronzeTables) -> list[tuple[str, int, int]]:
    rows = lake.read("plays", ["_broker", "_partition", "_offset"])
    return sorted(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))


def make_sink(broker, lake, checkpoint=lambda _: None, **limits) -> Sink:
    return Sink(broker, lake, SinkLimits(**limits), topics=[PLAYS], checkpoint=checkpoint)


def test_two_batches_are_read_while_another_is_stored_and_no_more(lake):
    broker, seen = WatchedBroker(make_log(9)), []

    def checkpoint(point: str) -> None:
        if point == "files_written" and not seen:
            seen.append(broker.wait_for_polled(6))
            time.sleep(0.3)  # long enough to read another batch
            seen.append(broker.polled)

    report = make_sink(broker, lake, checkpoint, max_events=2).run(until_drained=True)
    assert seen == [True, 6]
    assert (report.events, report.batches) == (9, 5)


def test_what_was_read_before_the_log_failed_is_stored_before_the_error_is_raised(lake):
    broker = WatchedBroker(make_log(9))
    broker.fails_after = 6
    with pytest.raises(Unavailable, match="away"):
        make_sink(broker, lake, max_events=2).run(until_drained=True)
    assert [offset for _, _, offset in read_coordinates(lake)] == list(range(6))


def test_a_batch_closes_by_age_while_records_keep_coming(lake):
    broker, stop, ended_at = WatchedBroker(make_log(1)), threading.Event(), time.monotonic() + 20
    broker.before_poll = lambda: None if stop.is_set() or time.monotonic() > ended_at else publish(broker.log, 1)
    report = make_sink(broker, lake, max_seconds=0.2).run(stop=stop, on_progress=lambda _: stop.set())
    assert time.monotonic() < ended_at  # later, if only the last record closes it
    assert report.events == sum(len(held) for held in broker.log.offsets(PLAYS.name).values())


class Interrupted(Exception):
    """Simulates a crash at a checkpoint."""


def test_a_sink_that_cannot_store_ends_its_threads(lake):
    def checkpoint(point: str) -> None:
        if point == "files_written":
            raise Interrupted

    with pytest.raises(Interrupted):
        make_sink(WatchedBroker(make_log(9)), lake, checkpoint, max_events=2).run(stop=threading.Event())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("sink-reader", "sink-decoder"))]


def test_an_added_partition_is_read_from_its_start(lake):
    broker = WatchedBroker(make_log(20, partitions=2))
    broker.hidden, stop = {1}, threading.Event()
    count = sum(len(held) for held in broker.log.offsets(PLAYS.name).values())

    def show_the_partition(done: int) -> None:
        broker.hidden = set()
        if done == count:
            stop.set()

    make_sink(broker, lake, max_seconds=0.1).run(stop=stop, on_progress=show_the_partition, for_seconds=20)
    assert {partition for _, partition, _ in read_coordinates(lake)} == {0, 1}
    assert len(read_coordinates(lake)) == count


def test_a_new_log_that_ends_where_the_old_one_ended_is_noticed_and_read(lake):
    broker, stop = WatchedBroker(make_log(5)), threading.Event()
    old = broker.log

    def change(done: int) -> None:
        if done == 10:
            stop.set()
        elif broker.log is old:
            broker.log = make_log(5)

    make_sink(broker, lake, max_seconds=0.1).run(stop=stop, on_progress=change, for_seconds=20, retry_seconds=5)
    ids = (old.log_id(PLAYS.name), broker.log.log_id(PLAYS.name))
    assert read_coordinates(lake) == sorted((name, 0, offset) for name in ids for offset in range(5))
