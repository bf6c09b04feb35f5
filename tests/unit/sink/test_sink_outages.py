"""What a sink retries, and for how long: a log that does not answer, a topic that disappears or is created again."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime

import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS, decode_records
from soundlake.contract.topics import PLAYS
from soundlake.errors import TopicMissing, TopicRecreated, Unavailable
from soundlake.lake import MemoryBronzeTables
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.observer import NoOpObserver
from soundlake.sink.outage_retries import retry_outages

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class ChangingBroker:
    """Wraps logs in memory: raises `errors` one by one when polled, and goes over to the next log after so many polls."""

    def __init__(self, *logs: MemoryBroker, errors: tuple[Exception, ...] = (), polls: int = 1_000) -> None:
        self._logs, self.errors, self._polls = list(logs), list(errors), polls

    def __getattr__(self, name):
        return getattr(self._logs[0], name)

    def poll(self, *args, **limits):
        if self.errors:
            raise self.errors.pop(0)
        if self._polls == 0 and len(self._logs) > 1:
            self._logs.pop(0)
        self._polls -= 1
        return self._logs[0].poll(*args, **limits)


class CountingObserver(NoOpObserver):
    """Keeps the errors that it is called with."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def record_error(self, error: Exception) -> None:
        self.errors.append(error)


class Waits(threading.Event):
    """An event that returns from `wait` at once, and keeps how long each wait was to be."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return super().wait(0)


def make_log(*names: str) -> MemoryBroker:
    broker = MemoryBroker(clock=lambda: NOW)
    broker.create_topics(TOPICS, partitions=1)
    events = [
        {"event_id": str(uuid.uuid4()), "event_type": "play", "played_at": "2026-02-28T23:59:59Z", "track_name": name} for name in names
    ]
    broker.append(PLAYS.name, [b"ann"] * len(names), [json.dumps(event).encode() for event in events])
    return broker


@pytest.fixture
def lake() -> MemoryBronzeTables:
    return MemoryBronzeTables()


def read_tracks(lake: MemoryBronzeTables) -> list[str]:
    return sorted(lake.read("plays", ["track_name"])["track_name"].to_pylist())


def test_a_log_that_does_not_answer_for_a_moment_is_retried_and_reported(lake):
    error, observer = Unavailable("away"), CountingObserver()
    sink = Sink(ChangingBroker(make_log("a", "b"), errors=(error,)), lake, SinkLimits(), topics=[PLAYS], observer=observer)
    assert sink.run(until_drained=True, retry_seconds=30).events == 2
    assert read_tracks(lake) == ["a", "b"]
    assert observer.errors == [error]


def test_a_decoder_whose_registry_does_not_answer_for_a_moment_is_retried_and_nothing_is_rejected(lake):
    error, observer, answers = Unavailable("the registry is away"), CountingObserver(), [True, False]

    def decode(*records):
        if answers and answers.pop(0):
            raise error
        return decode_records(*records)

    sink = Sink(make_log("a", "b"), lake, SinkLimits(), topics=[PLAYS], observer=observer, decode=decode)
    report = sink.run(until_drained=True, retry_seconds=30)
    assert (report.events, report.rejected, answers) == (2, 0, [])
    assert read_tracks(lake) == ["a", "b"]
    assert observer.errors == [error]


def test_the_log_is_inspected_once_it_answers_and_before_the_first_record_is_read(lake):
    answers, seen = [Unavailable("away"), None], []

    def inspect() -> None:
        seen.append(len(read_tracks(lake)))
        if (error := answers.pop(0)) is not None:
            raise error

    broker = ChangingBroker(make_log("a"), errors=(Unavailable("away again"),))
    sink = Sink(broker, lake, SinkLimits(), topics=[PLAYS], inspect_log=inspect)
    assert sink.run(until_drained=True, retry_seconds=30).events == 1
    assert (seen, answers) == ([0, 0], [])


def test_a_topic_that_disappears_while_the_sink_runs_is_retried(lake):
    sink = Sink(ChangingBroker(make_log("a"), errors=(TopicMissing(PLAYS.name),)), lake, SinkLimits(), topics=[PLAYS])
    assert sink.run(until_drained=True, retry_seconds=30).events == 1


def test_a_topic_that_is_missing_at_the_start_is_raised_at_once(lake):
    sink = Sink(MemoryBroker(clock=lambda: NOW), lake, SinkLimits(), topics=[PLAYS])
    with pytest.raises(TopicMissing, match=PLAYS.name):
        sink.run(until_drained=True, retry_seconds=30)


def test_without_retry_seconds_an_outage_is_raised_at_once(lake):
    sink = Sink(ChangingBroker(make_log("a"), errors=(Unavailable("away"),)), lake, SinkLimits(), topics=[PLAYS])
    with pytest.raises(Unavailable, match="away"):
        sink.run(until_drained=True)


@pytest.mark.parametrize(("retry_seconds", "is_raised"), [(30.0, False), (0.0, True)], ids=["with retries", "without retries"])
def test_a_sink_that_is_stopped_during_an_outage_ends(lake, retry_seconds, is_raised):
    stop = threading.Event()

    class Stopping(CountingObserver):
        def record_error(self, error: Exception) -> None:
            super().record_error(error)
            stop.set()

    broker, observer = ChangingBroker(make_log("a"), errors=(Unavailable("away"),)), Stopping()
    sink = Sink(broker, lake, SinkLimits(), topics=[PLAYS], observer=observer)
    if is_raised:
        with pytest.raises(Unavailable, match="away"):
            sink.run(stop=stop, retry_seconds=retry_seconds)
    else:
        assert sink.run(stop=stop, retry_seconds=retry_seconds).events == 0
    assert len(observer.errors) == 1


@pytest.mark.parametrize("retry_seconds", [0.0, 30.0])
def test_when_a_topic_is_created_again_what_was_read_is_stored_and_the_new_log_is_read_from_its_start(lake, retry_seconds):
    changing = ChangingBroker(make_log("a", "b", "c"), make_log("d", "e", "f", "g"), polls=1)
    sink = Sink(changing, lake, SinkLimits(max_events=2), topics=[PLAYS])
    assert sink.run(until_drained=True, retry_seconds=retry_seconds).events == 6
    assert read_tracks(lake) == ["a", "b", "d", "e", "f", "g"]


def fail(error: Exception, times: int):
    """A function that raises so many times and then returns how often it was called; and the list of its calls."""
    calls: list[float] = []

    def call() -> int:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return len(calls)

    return call


@pytest.mark.parametrize("error", [Unavailable("away"), TopicMissing("user_plays")], ids=["away", "missing"])
def test_an_error_that_outlasts_the_limit_is_raised(error):
    with pytest.raises(type(error)):
        retry_outages(0.0, Waits(), has_begun=lambda: True)(fail(error, 1))


def test_an_outage_within_the_limit_is_retried_with_growing_waits_up_to_a_longest_one(caplog):
    stop = Waits()
    assert retry_outages(3_600.0, stop)(fail(Unavailable("the log is away"), 60)) == 61
    assert len(stop.seconds) == 60
    assert all(seconds <= min(0.5 * 2**n, 15.0) for n, seconds in enumerate(stop.seconds))
    assert max(stop.seconds) > 7.5
    assert caplog.messages[0] == f"the log is away; trying again in {stop.seconds[0]:.1f} s"


def test_the_limit_is_measured_from_the_first_error_not_from_the_start_of_the_work():
    def work_and_fail() -> int:
        time.sleep(0.15)
        return failing()

    failing = fail(Unavailable("away"), 1)
    assert retry_outages(0.1, Waits())(work_and_fail) == 2


def test_a_missing_topic_is_retried_for_half_a_minute_only_and_only_if_it_was_there():
    error = TopicMissing("user_plays")
    assert retry_outages(3_600.0, Waits(), has_begun=lambda: True)(fail(error, 3)) == 4
    with pytest.raises(TopicMissing):
        retry_outages(3_600.0, Waits(), has_begun=lambda: False)(fail(error, 1))


def test_a_log_that_was_created_again_is_retried_without_a_limit():
    assert retry_outages(0.0, Waits())(fail(TopicRecreated("user_plays", "old", "new"), 3)) == 4


def test_other_errors_are_raised_at_once():
    with pytest.raises(ZeroDivisionError):
        retry_outages(3_600.0, Waits())(fail(ZeroDivisionError(), 1))


def test_a_stopped_sink_raises_instead_of_waiting():
    stop = Waits()
    stop.set()
    with pytest.raises(Unavailable):
        retry_outages(3_600.0, stop)(fail(Unavailable("away"), 1))
    assert stop.seconds == []


def test_waits_and_limit_start_again_after_something_was_stored():
    stop, stored = Waits(), [0]

    def store_and_fail() -> None:
        if stored[0] == 40:
            return
        stored[0] += 1
        raise Unavailable("away")

    retry_outages(3_600.0, stop, count_stored=lambda: stored[0])(store_and_fail)
    assert len(stop.seconds) == 40
    assert max(stop.seconds) <= 0.5  # without the restart, the tenth wait would be up to 15 s


def test_the_limit_is_measured_from_the_first_error_after_something_was_stored():
    stop, stored = Waits(), [0]
    outcomes = iter(["ok", "away", "away", "stored", "away", "end"])

    def work() -> str:
        for outcome in outcomes:
            if outcome == "end":
                return outcome
            if outcome == "stored":
                stored[0] += 1
            if outcome == "away":
                time.sleep(0.06)
                raise Unavailable("away")
        raise AssertionError

    assert retry_outages(0.1, stop, count_stored=lambda: stored[0])(work) == "end"  # 0.12 s from the first error to the last
    outcomes = iter(["away", "away", "away", "end"])
    with pytest.raises(Unavailable):
        retry_outages(0.1, stop, count_stored=lambda: stored[0])(work)
