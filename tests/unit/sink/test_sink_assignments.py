"""A sink in a consumer group: one assignment of partitions after another; and what a sink reports to its observer."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Assignment
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import PositionMoved
from soundlake.lake import MemoryBronzeTables, PositionMove, make_position_app_id
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.observer import NoOpObserver

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class FakeMembership:
    """Hands out the given assignments one by one, then None; keeps the offsets that are committed."""

    def __init__(self, *assignments: Assignment) -> None:
        self._assignments = list(assignments)
        self.commits: list[tuple[str, dict[int, int]]] = []
        self.is_closed = False

    @contextmanager
    def hold(self, stop, deadline=None) -> Iterator[Assignment | None]:
        yield self._assignments.pop(0) if self._assignments else None

    def commit(self, topic, offsets) -> None:
        self.commits.append((topic, dict(offsets)))

    def close(self) -> None:
        self.is_closed = True


def assign(*partitions: int) -> Assignment:
    return Assignment({PLAYS.name: frozenset(partitions)})


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(clock=lambda: NOW)
    broker.create_topics(TOPICS, partitions=2)
    return broker


@pytest.fixture
def tables() -> MemoryBronzeTables:
    return MemoryBronzeTables()


def publish(broker: MemoryBroker, count: int) -> dict[int, int]:
    """Plays of many listeners; returns the end offsets."""
    event = {"event_type": "play", "played_at": "2026-02-28T23:59:59Z"}
    values = [json.dumps({"event_id": str(uuid.uuid4()), **event}).encode() for _ in range(count)]
    broker.append(PLAYS.name, [b"listener-%d" % number for number in range(count)], values)
    return {number: held.end for number, held in broker.offsets(PLAYS.name).items()}


def count_stored(tables: MemoryBronzeTables) -> dict[int, int]:
    partitions = tables.read("plays", ["_partition"])["_partition"].to_pylist()
    return {number: partitions.count(number) for number in set(partitions)}


def run_until_stored(broker, tables, membership, count: int, on_progress=lambda _: None):
    stop = threading.Event()

    def check(done: int) -> None:
        on_progress(done)
        if done >= count:
            stop.set()

    sink = Sink(broker, tables, SinkLimits(max_seconds=0.05), topics=[PLAYS], join=lambda: membership)
    return sink.run(stop=stop, for_seconds=20, on_progress=check)


def test_only_the_assigned_partitions_are_stored_and_their_offsets_published(broker, tables):
    ends = publish(broker, 20)
    membership = FakeMembership(assign(1))
    assert run_until_stored(broker, tables, membership, ends[1]).events == ends[1]
    assert count_stored(tables) == {1: ends[1]}
    assert membership.commits[-1] == (PLAYS.name, {1: ends[1]})
    assert membership.is_closed


def test_after_a_revocation_the_sink_continues_with_its_next_assignment(broker, tables):
    ends = publish(broker, 20)
    first, second = assign(0), assign(1)
    membership = FakeMembership(first, second)
    report = run_until_stored(broker, tables, membership, 20, on_progress=lambda _: first.revoked.set())
    assert report.events == 20
    assert count_stored(tables) == ends
    assert dict(membership.commits) == {PLAYS.name: {1: ends[1]}}


def test_the_log_is_looked_at_once_before_the_first_record(broker, tables):
    publish(broker, 20)
    stored: list[dict[int, int]] = []
    sink = Sink(broker, tables, SinkLimits(), topics=[PLAYS], inspect_log=lambda: stored.append(count_stored(tables)))
    sink.run(until_drained=True)
    sink.run(until_drained=True)
    assert stored == [{}]


def test_without_an_assignment_the_sink_ends(broker, tables):
    publish(broker, 20)
    membership = FakeMembership()
    assert run_until_stored(broker, tables, membership, 1).events == 0
    assert membership.is_closed


def test_a_member_whose_position_another_sink_moved_reads_the_positions_again(broker, tables, caplog):
    ends = publish(broker, 20)
    app_id = make_position_app_id(broker.log_id(PLAYS.name), PLAYS.name, 0)
    other = tables.open_table("plays")

    def move(point: str) -> None:
        if point == "files_written" and other.read_last_batch() == 0:
            other.append(other.read().drop_columns("_batch"), [PositionMove(app_id, -1, 2)])

    stop = threading.Event()
    membership = FakeMembership(assign(0), assign(0))
    sink = Sink(broker, tables, SinkLimits(max_seconds=0.05), topics=[PLAYS], join=lambda: membership, checkpoint=move)
    report = sink.run(stop=stop, for_seconds=20, on_progress=lambda _: stop.set())
    assert report.events == ends[0] - 3
    assert "another sink moved" in caplog.text


def test_a_sink_continues_where_another_one_has_stored_the_beginnings(broker, tables, monkeypatch):
    ends = publish(broker, 20)
    table_class, reads = type(tables.open_table("plays")), []
    read_position = table_class.read_position

    def read_before_another_stores(table, app_id):
        position = read_position(table, app_id)
        reads.extend([app_id] if app_id.endswith("/begin") else [])
        if len(reads) == 2:  # the last look at the first partition
            table.append(table.read().drop_columns("_batch"), [PositionMove(app_id, -1, 0)])
        return position

    monkeypatch.setattr(table_class, "read_position", read_before_another_stores)
    report = Sink(broker, tables, SinkLimits(), topics=[PLAYS]).run(until_drained=True)
    assert len(reads) > 4  # both partitions again
    assert report.events == 20
    assert count_stored(tables) == ends


def test_a_sink_without_a_group_stops_if_another_sink_moves_its_position(broker, tables):
    publish(broker, 20)
    app_id = make_position_app_id(broker.log_id(PLAYS.name), PLAYS.name, 0)
    other = tables.open_table("plays")

    def move(point: str) -> None:
        if point == "files_written" and other.read_last_batch() == 0:
            other.append(other.read().drop_columns("_batch"), [PositionMove(app_id, -1, 2)])

    with pytest.raises(PositionMoved):
        Sink(broker, tables, SinkLimits(), topics=[PLAYS], checkpoint=move).run(until_drained=True)


def test_to_drain_the_log_a_sink_reads_all_partitions_and_joins_no_group(broker, tables):
    ends = publish(broker, 20)

    def join():
        raise AssertionError

    assert Sink(broker, tables, SinkLimits(), topics=[PLAYS], join=join).run(until_drained=True).events == 20
    assert count_stored(tables) == ends


def test_the_observer_gets_a_report_of_each_batch(broker, tables):
    class Recorder(NoOpObserver):
        def __init__(self) -> None:
            self.batches = []

        def record_batch(self, batch) -> None:
            self.batches.append(batch)

    observer, progress = Recorder(), []
    publish(broker, 3)
    broker.append(PLAYS.name, [b"ann"] * 3, [b"oops", b"{", None])
    sink = Sink(
        broker, tables, SinkLimits(), topics=[PLAYS], observer=observer, clock=lambda: NOW + timedelta(seconds=2)
    )  # fmt: skip
    report = sink.run(until_drained=True, on_progress=progress.append)
    [batch] = observer.batches
    assert (batch.topic, batch.records, batch.events) == (PLAYS.name, 6, 3)
    assert sum(batch.rejected.values()) == 3
    assert set(batch.rejected) >= {"not_json"}
    assert batch.bytes > 100
    assert 0 <= batch.decode_seconds < 10
    assert 0 <= batch.commit_seconds < 10
    assert np.allclose(batch.delays_seconds, 2.0)
    assert progress == [6]
    assert (report.events, report.rejected, report.batches) == (3, 3, 1)
    assert set(report.topics) == {PLAYS.name}
