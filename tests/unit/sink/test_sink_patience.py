"""What a sink waits out, and for how long; a log in memory that is away, or another one all of a sudden."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime

import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import TopicMissing, Unavailable
from soundlake.lake import Lake
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.outage_retries import Patience

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class ChangingBroker:
    """Stands before logs in memory: fails as often as told, and goes over to the next log after so many polls."""

    def __init__(self, *logs: MemoryBroker, failures: int = 0, polls: int = 1_000) -> None:
        self._logs, self.failures, self._polls = list(logs), failures, polls

    def __getattr__(self, name):
        return getattr(self._logs[0], name)

    def poll(self, *place, **limits):
        if self.failures:
            self.failures -= 1
            raise Unavailable("the log is away")
        if self._polls == 0 and len(self._logs) > 1:
            self._logs.pop(0)
        self._polls -= 1
        return self._logs[0].poll(*place, **limits)


def make_log(*names: str) -> MemoryBroker:
    broker = MemoryBroker(clock=lambda: NOW)
    broker.create_topics(TOPICS, partitions=1)
    events = [
        {"event_id": str(uuid.uuid4()), "event_type": "play", "played_at": "2026-02-28T23:59:59Z", "track_name": name} for name in names
    ]
    broker.append(PLAYS.name, [b"ann"] * len(names), [json.dumps(event).encode() for event in events])
    return broker


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


def stored(lake: Lake) -> list[str]:
    return sorted(lake.read("plays", ["track_name"])["track_name"].to_pylist())


def test_a_log_that_is_away_for_a_moment_is_waited_for(lake):
    sink = Sink(ChangingBroker(make_log("a", "b"), failures=1), lake, SinkLimits(), topics=[PLAYS])
    assert sink.run(until_drained=True, retry_seconds=30).events == 2
    assert stored(lake) == ["a", "b"]


def test_without_patience_it_is_told_at_once(lake):
    sink = Sink(ChangingBroker(make_log("a"), failures=1), lake, SinkLimits(), topics=[PLAYS])
    with pytest.raises(Unavailable, match="away"):
        sink.run(until_drained=True)


def test_when_the_log_becomes_another_one_what_was_read_is_kept_and_the_new_one_is_read_from_its_beginning(lake):
    changing = ChangingBroker(make_log("a", "b", "c"), make_log("d", "e", "f", "g"), polls=1)
    sink = Sink(changing, lake, SinkLimits(max_events=2), topics=[PLAYS])
    assert sink.run(until_drained=True, retry_seconds=30).events == 6
    assert stored(lake) == ["a", "b", "d", "e", "f", "g"]


@pytest.mark.parametrize("error", [Unavailable("away"), TopicMissing("user_plays")], ids=["away", "missing"])
def test_patience_ends(error):
    stop = threading.Event()
    stop.set()  # so that no wait takes time
    patience = Patience(0.0, stop)
    with pytest.raises(type(error)):
        patience.wait(error, stored=0)


def test_patience_begins_anew_when_something_was_stored():
    stop = threading.Event()
    stop.set()
    patience = Patience(3_600.0, stop)
    for count in range(20):
        patience.wait(Unavailable("away"), stored=count)
