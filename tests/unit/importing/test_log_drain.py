"""Draining the log into bronze: with a sink of its own, beside a block, and while another sink holds the lock."""

from __future__ import annotations

import json
import threading
import time
import uuid

import pytest
from importing_fakes import Deployment

from soundlake.broker import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.errors import DataError, PositionMoved, Unavailable
from soundlake.importing import LogDrain
from soundlake.local_files import try_lock


class DrainedDeployment(Deployment):
    """Counts the runs of its own sink; `fail_with` makes them raise."""

    def __init__(self, lock) -> None:
        super().__init__()
        self.lock, self.runs, self.fail_with = lock, [], None

    def run_sink(self, stop):
        self.runs.append(stop)
        if self.fail_with is not None:
            raise self.fail_with
        self.sink.run(stop=stop, until_drained=stop is None)

    def make_drain(self, stalled_seconds=30.0) -> LogDrain:
        return LogDrain(self.broker, self.tables, self.run_sink, self.lock, stalled_seconds=stalled_seconds)

    def publish(self, *topics) -> None:
        for topic in topics:
            event = {"event_id": str(uuid.uuid4()), "event_type": "play", "played_at": "2025-05-01T00:00:00Z", "user_id": "anna"}
            self.broker.append(topic, [b"anna"], [json.dumps(event).encode()])

    def count(self, table) -> int:
        return self.tables.read(table).num_rows


@pytest.fixture
def deployment(tmp_path) -> DrainedDeployment:
    return DrainedDeployment(tmp_path / "sink.lock")


@pytest.fixture
def held(deployment):
    """The lock is held, as by the sink of another process."""
    with try_lock(deployment.lock) as is_free:
        assert is_free
        yield


def store_later(deployment, *delays) -> threading.Thread:
    """Another sink: stores one record of user_plays after each delay."""

    def store() -> None:
        for delay in delays:
            time.sleep(delay)
            deployment.drain()
            deployment.publish("user_plays")

    thread = threading.Thread(target=store)
    thread.start()
    return thread


def test_everything_in_the_log_is_stored_by_its_own_sink(deployment):
    deployment.publish("user_plays", "user_plays", "user_history")
    deployment.make_drain().run()
    assert (deployment.count("plays"), deployment.count("history")) == (2, 1)
    assert deployment.runs == [None]
    with try_lock(deployment.lock) as is_free:
        assert is_free


def test_while_another_sink_holds_the_lock_its_progress_is_waited_for(deployment, held):
    deployment.publish("user_plays", "user_history")
    other = store_later(deployment, 0.3)
    deployment.make_drain().run()
    assert (deployment.count("plays"), deployment.count("history")) == (1, 1)
    assert deployment.runs == []
    other.join()


class ScriptedPositions:
    """Bronze tables with one position, which another sink moves by one every `step_seconds`."""

    def __init__(self, step_seconds) -> None:
        self._step_seconds, self._started = step_seconds, time.monotonic()

    def open_table(self, name):
        return self

    def read_position(self, app_id):
        return int((time.monotonic() - self._started) / self._step_seconds)


class GrowingBroker(MemoryBroker):
    """A log that has one record more each time its offsets are read."""

    def offsets(self, topic):
        self.append(topic, [None], [b"{}"])
        return super().offsets(topic)


def test_records_that_come_after_the_start_are_not_waited_for(deployment, held):
    broker = GrowingBroker()
    broker.create_topics(TOPICS, partitions=1)
    LogDrain(broker, ScriptedPositions(0.2), deployment.run_sink, deployment.lock, stalled_seconds=30).run()
    assert broker.offsets("user_plays")[0].end <= 3


def test_a_slow_sink_is_waited_for_as_long_as_it_stores_something(deployment, held):
    deployment.publish(*["user_plays"] * 9)
    started = time.monotonic()
    LogDrain(deployment.broker, ScriptedPositions(0.2), deployment.run_sink, deployment.lock, stalled_seconds=1.0).run()
    assert time.monotonic() - started >= 0.2 * 8


def test_a_sink_that_stores_nothing_is_an_error_that_names_its_lock(deployment, held):
    deployment.publish("user_plays")
    with pytest.raises(Unavailable, match=r"sink\.lock and has stored nothing for 0 s"):
        deployment.make_drain(stalled_seconds=0.2).run()


def test_a_sink_of_another_machine_that_moves_the_positions_is_waited_for(deployment):
    deployment.publish("user_plays")
    deployment.fail_with = PositionMoved("plays", "app", 0, 1)
    other = store_later(deployment, 0.3)
    deployment.make_drain().run()
    assert deployment.count("plays") == 1
    assert len(deployment.runs) > 1
    other.join()


def test_another_error_of_its_own_sink_is_raised(deployment):
    deployment.publish("user_plays")
    deployment.fail_with = DataError("a gap")
    with pytest.raises(DataError, match="a gap"):
        deployment.make_drain().run()


def test_in_the_background_records_are_stored_while_the_block_runs(deployment):
    with deployment.make_drain().in_background():
        deployment.publish("user_plays")
        deadline = time.monotonic() + 30
        while deployment.count("plays") == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert deployment.count("plays") == 1
    [stop] = deployment.runs
    assert stop.is_set()
    with try_lock(deployment.lock) as is_free:
        assert is_free


def test_in_the_background_an_error_or_another_sink_does_not_disturb_the_block(deployment):
    deployment.fail_with = DataError("a gap")
    with deployment.make_drain().in_background():
        deployment.publish("user_plays")
    assert deployment.count("plays") == 0
    with try_lock(deployment.lock), deployment.make_drain().in_background():
        pass
    assert len(deployment.runs) == 1
