"""Offsets that hold no record: passed over, counted once with the position, whatever interrupts the sink."""

from __future__ import annotations

import json
import random
import uuid

import pytest
from tests.marked_broker import MARKER, MarkedBroker

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.lake import NO_POSITION, MemoryBronzeTables, MissingKind, make_missing_app_ids, make_position_app_id
from soundlake.sink import Sink, SinkLimits


class Interrupted(Exception):
    """Simulates a crash at a checkpoint."""


@pytest.fixture
def broker() -> MarkedBroker:
    log = MemoryBroker()
    log.create_topics(TOPICS, partitions=1)
    return MarkedBroker(log)


@pytest.fixture
def lake() -> MemoryBronzeTables:
    return MemoryBronzeTables()


def publish(broker, pattern: str) -> None:
    """A play for each `p`, an undecodable record for each `r`, a marker for each `-`."""
    event = {"event_type": "play", "played_at": "2026-02-28T23:59:59Z"}
    for sign in pattern:
        value = {"p": json.dumps({"event_id": str(uuid.uuid4()), **event}).encode(), "r": b"{", "-": MARKER}[sign]
        broker.append(PLAYS.name, [b"ann"], [value])


def drain(broker, lake, checkpoint=lambda _: None, **limits):
    return Sink(broker, lake, SinkLimits(**limits), topics=[PLAYS], checkpoint=checkpoint).run(until_drained=True)


def read_state(broker, lake) -> tuple[int, int, int]:
    """The position, the number of offsets without a record, and the first of them."""
    app_id = make_position_app_id(broker.log_id(PLAYS.name), PLAYS.name, 0)
    table = lake.open_table("plays")
    count, first = map(table.read_position, make_missing_app_ids(app_id, MissingKind.EMPTY))
    return table.read_position(app_id), count, first


@pytest.mark.parametrize(
    ("pattern", "first"),
    [("pp", NO_POSITION), ("-p", 0), ("p-p", 1), ("pr-", 2), ("---", 0), ("p--r-p--", 1)],
)
@pytest.mark.parametrize("max_events", [1, 2, 100])
def test_the_position_passes_them_and_they_are_counted(broker, lake, pattern, first, max_events):
    publish(broker, pattern)
    drain(broker, lake, max_events=max_events)
    count = pattern.count("-") or NO_POSITION
    assert read_state(broker, lake) == (len(pattern) - 1, count, first)
    rows = {table: lake.read(table, ["_offset"])["_offset"].to_pylist() for table in ("plays", "rejected")}
    assert rows == {name: [at for at, sign in enumerate(pattern) if sign == kind] for name, kind in (("plays", "p"), ("rejected", "r"))}


def test_a_crash_at_any_point_counts_them_once(broker, lake):
    choose, pattern = random.Random(3), "".join(random.Random(2).choices("pr--", k=200))
    published = 0
    while published < len(pattern):
        count = choose.randint(1, 9)
        publish(broker, pattern[published : published + count])
        published += count
        point, after = choose.choice(["files_written", "rejected_committed", "events_committed", "offset_moved"]), [choose.randint(0, 3)]

        def crash(passed: str, point=point, after=after) -> None:
            after[0] -= passed == point
            if after[0] < 0:
                raise Interrupted

        try:
            drain(broker, lake, crash, max_events=choose.randint(1, 4))
        except Interrupted:
            continue
    drain(broker, lake)
    assert read_state(broker, lake) == (len(pattern) - 1, pattern.count("-"), pattern.index("-"))
    assert (lake.read("plays").num_rows, lake.read("rejected").num_rows) == (pattern.count("p"), pattern.count("r"))


def test_what_an_open_transaction_holds_back_is_in_the_report_and_in_the_log(broker, lake, caplog):
    publish(broker, "p")
    broker.held_back = {0: 7}
    report = drain(broker, lake)
    assert (report.held_back, report.topics[PLAYS.name].held_back) == (7, 7)
    assert "user_plays[0]: an open transaction holds back 7 offsets" in caplog.text
