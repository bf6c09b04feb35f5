"""The sink on a log in memory: what ends where, what closes a batch, what stops it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime

import pyarrow.compute as pc
import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.contract import DLQ_TOPIC, TOPICS
from soundlake.errors import LogReplaced, OffsetGap, PositionMoved
from soundlake.lake import Lake, make_position_app_id
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(Address(f"file://{tmp_path}", "file", path=tmp_path))
    lake.ensure_tables()
    return lake


@pytest.fixture
def broker() -> MemoryBroker:
    return make_broker()


def make_broker() -> MemoryBroker:
    broker = MemoryBroker(clock=lambda: NOW)
    broker.create_topics(TOPICS, partitions=2)
    return broker


def make_sink(broker, lake, **limits) -> Sink:
    return Sink(broker, lake, SinkLimits(**limits), clock=lambda: NOW)


def drain(broker, lake, **limits):
    return make_sink(broker, lake, **limits).run(until_drained=True)


def event(kind="play", **fields) -> bytes:
    told = {"event_id": str(uuid.uuid4()), "event_type": kind, "user_id": "ann", "played_at": "2026-11-22T16:00:00Z", **fields}
    return json.dumps(told, ensure_ascii=False).encode()


def publish(broker, topic, *values, keys=None) -> None:
    broker.append(topic, keys or [b"ann"] * len(values), list(values))


def test_events_and_rejected_records_lie_where_they_belong_and_the_offset_follows(broker, lake):
    publish(broker, "user_plays", event(track_name="夜に駆ける"), b"nonsense", None, event(mood="🎧"))
    report = drain(broker, lake)
    assert (report.events, report.rejected, report.batches) == (2, 2, 1)
    plays = lake.read("plays").to_pylist()
    assert [(row["_offset"], row["track_name"], row["extra"]) for row in plays] == [(0, "夜に駆ける", None), (3, None, '{"mood":"🎧"}')]
    assert {row["_ingested_at"] for row in plays} == {NOW}
    rejected = sorted(lake.read("rejected").to_pylist(), key=lambda row: row["_offset"])
    assert [(row["_offset"], row["value"], row["key"]) for row in rejected] == [(1, b"nonsense", b"ann"), (2, None, b"ann")]
    partition = plays[0]["_partition"]
    assert broker.commits["soundlake-sink", "user_plays"] == {partition: 4}


def test_a_second_run_stores_nothing_and_commits_nothing(broker, lake):
    publish(broker, "user_likes", event("like"))
    drain(broker, lake)
    assert drain(broker, lake).batches == 0
    assert (lake.read_last_batch("likes"), lake.read_last_batch("plays")) == (1, 0)


def test_a_batch_of_rejected_records_alone_moves_the_position_and_writes_no_event(broker, lake):
    publish(broker, "user_plays", b"{", b"[]")
    report = drain(broker, lake)
    assert (report.events, report.rejected, report.batches) == (0, 2, 1)
    ends = {partition: held.end for partition, held in broker.offsets("user_plays").items() if held.end}
    [(partition, end)] = ends.items()
    assert lake.open_table("plays").read_position(make_position_app_id(broker.log_id("user_plays"), "user_plays", partition)) == end - 1
    assert lake.read("plays").num_rows == 0


def test_an_empty_log_leaves_every_table_as_it_was(broker, lake):
    assert drain(broker, lake).batches == 0
    assert [lake.read_last_batch(topic.table) for topic in TOPICS] == [0] * len(TOPICS)


def test_rejected_records_are_announced_by_their_coordinates(broker, lake):
    publish(broker, "user_skips", event("skip"), b"oops")
    drain(broker, lake)
    announced = broker.fetch(DLQ_TOPIC, 0, 0, max_records=10, max_bytes=10_000)
    told = json.loads(announced.values[0].as_py())
    assert (told["topic"], told["offset"], told["reason"]) == ("user_skips", 1, "not_json")
    assert announced.keys[0].as_py() == f"user_skips/{told['partition']}/1".encode()


@pytest.mark.parametrize(
    ("limits", "batches"),
    [
        pytest.param({"max_events": 4}, 3, id="by events"),
        pytest.param({"max_bytes": 1}, 10, id="by bytes, one record at least"),
        pytest.param({}, 1, id="by none"),
    ],
)
def test_a_backlog_is_cut_into_batches_by_its_limits(broker, lake, limits, batches):
    publish(broker, "user_plays", *(event() for _ in range(10)))
    assert drain(broker, lake, **limits).batches == batches
    assert sorted(lake.read("plays", ["_offset"])["_offset"].to_pylist()) == list(range(10))


def test_several_partitions_share_a_commit(broker, lake):
    keys = [b"listener-%d" % n for n in range(30)]
    publish(broker, "user_plays", *(event() for _ in keys), keys=keys)
    assert all(held.end for held in broker.offsets("user_plays").values())
    assert drain(broker, lake).batches == 1
    assert pc.count_distinct(lake.read("plays", ["_partition"])["_partition"]).as_py() == 2


def test_live_records_wait_for_company_until_they_are_old_enough(broker, lake):
    publish(broker, "user_plays", event())
    more = threading.Timer(0.3, publish, (broker, "user_plays", event(), event()))
    more.start()
    stop = threading.Event()
    report = make_sink(broker, lake, max_seconds=1.0).run(stop=stop, on_progress=lambda _: stop.set(), for_seconds=30)
    assert (report.events, report.batches) == (3, 1)


def test_a_sink_that_is_told_to_stop_writes_the_batch_in_hand(broker, lake):
    publish(broker, "user_plays", event(), event())
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    report = make_sink(broker, lake, max_seconds=60).run(stop=stop)
    assert (report.events, report.batches) == (2, 1)
    assert time.monotonic() - begun < 10


def test_the_time_given_ends_it(broker, lake):
    assert make_sink(broker, lake).run(for_seconds=0.2).batches == 0


def test_a_log_made_anew_starts_anew_beside_what_is_there(broker, lake):
    publish(broker, "user_plays", event(), event())
    drain(broker, lake)
    anew = make_broker()
    publish(anew, "user_plays", event())
    assert drain(anew, lake).events == 1
    assert lake.read("plays").num_rows == 3


def test_a_log_restored_from_an_old_copy_stops_the_sink(broker, lake):
    publish(broker, "user_plays", event(), event(), event())
    drain(broker, lake)
    older = make_broker()
    older._id = broker._id
    publish(older, "user_plays", event())
    with pytest.raises(LogReplaced) as replaced:
        drain(older, lake)
    assert (replaced.value.position, replaced.value.end_offset) == (2, 1)


def test_a_gap_in_the_log_stops_the_sink_and_is_never_skipped(broker, lake):
    publish(broker, "user_plays", event())
    drain(broker, lake)
    [partition] = [partition for partition, held in broker.offsets("user_plays").items() if held.end]
    publish(broker, "user_plays", event(), event())
    broker.trim("user_plays", {partition: 2})
    with pytest.raises(OffsetGap) as gap:
        drain(broker, lake)
    assert (gap.value.expected, gap.value.first_available) == (1, 2)
    assert lake.read("plays").num_rows == 1


def test_a_log_that_begins_late_is_read_from_its_beginning_by_a_new_lake(broker, lake):
    publish(broker, "user_plays", event(), event(), event())
    [partition] = [partition for partition, held in broker.offsets("user_plays").items() if held.end]
    broker.trim("user_plays", {partition: 2})
    assert drain(broker, lake).events == 1


class Interrupted(Exception):
    """Stands for a death at a point."""


def run_until(broker, lake, point: str, hook=None) -> None:
    def checkpoint(passed: str) -> None:
        if passed == point:
            if hook is None:
                raise Interrupted
            hook()

    Sink(broker, lake, SinkLimits(), clock=lambda: NOW, checkpoint=checkpoint).run(until_drained=True)


def test_what_stands_in_rejected_goes_into_neither_table_again(broker, lake):
    publish(broker, "user_plays", event(), b"oops", event())
    with pytest.raises(Interrupted):
        run_until(broker, lake, "rejected_committed")
    publish(broker, "user_plays", b"again", event())
    report = drain(broker, lake)
    assert (report.events, report.rejected) == (3, 1)
    assert sorted(lake.read("rejected", ["_offset"])["_offset"].to_pylist()) == [1, 3]


def test_a_sink_that_lost_its_partition_stops_and_stores_nothing_twice(broker, lake):
    publish(broker, "user_plays", event(), b"oops")
    with pytest.raises(PositionMoved):
        run_until(broker, lake, "rejected_committed", hook=lambda: drain(broker, lake))
    assert lake.read("plays").num_rows == 1
    assert lake.read("rejected").num_rows == 1


def test_a_refusal_by_rejected_makes_it_read_again_before_it_repeats(broker, lake):
    publish(broker, "user_plays", event(), b"oops")
    publish(broker, "user_skips", b"someone else's")
    skips = [topic for topic in TOPICS if topic.name == "user_skips"]
    others = Sink(broker, lake, SinkLimits(), clock=lambda: NOW, topics=skips)
    plays = [topic for topic in TOPICS if topic.name == "user_plays"]
    passed = []

    def let_the_other_go_first(point: str) -> None:
        passed.append(point)
        if len(passed) == 1:
            others.run(until_drained=True)

    Sink(broker, lake, SinkLimits(), clock=lambda: NOW, topics=plays, checkpoint=let_the_other_go_first).run(until_drained=True)
    assert passed == ["files_written", "files_written", "rejected_committed", "files_written", "events_committed", "offset_moved"]
    assert sorted(lake.read("rejected", ["_topic"])["_topic"].to_pylist()) == ["user_plays", "user_skips"]
    assert lake.read("plays").num_rows == 1
