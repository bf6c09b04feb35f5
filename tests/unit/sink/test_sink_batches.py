"""The sink on a log in memory: where records are stored, what closes a batch, what stops it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.compute as pc
import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Delivery
from soundlake.contract import DLQ_TOPIC, TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import LogReplaced, OffsetGap, PositionMoved, Unavailable
from soundlake.lake import BronzeTables, Lake, MemoryBronzeTables, make_position_app_id
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.membership import CONSUMER_GROUP
from soundlake.sink.rejected_table import RejectedTable

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


@pytest.fixture(params=["memory", "delta"])
def lake(request, tmp_path) -> BronzeTables:
    if request.param == "memory":
        return MemoryBronzeTables()
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


def make_sink(broker, lake, topics=TOPICS, **limits) -> Sink:
    return Sink(broker, lake, SinkLimits(**limits), clock=lambda: NOW, topics=topics)


def drain(broker, lake, **limits):
    return make_sink(broker, lake, **limits).run(until_drained=True)


def make_event(kind="play", **fields) -> bytes:
    event = {"event_id": str(uuid.uuid4()), "event_type": kind, "user_id": "ann", "played_at": "2026-11-22T16:00:00Z", **fields}
    return json.dumps(event, ensure_ascii=False).encode()


def publish(broker, topic, *values, keys=None) -> None:
    broker.append(topic, keys or [b"ann"] * len(values), list(values))


def test_events_and_rejected_records_are_stored_in_their_tables_and_the_offset_is_published(broker, lake):
    publish(broker, "user_plays", make_event(track_name="夜に駆ける"), b"nonsense", None, make_event(mood="🎧"))
    report = drain(broker, lake)
    assert (report.events, report.rejected, report.batches) == (2, 2, 1)
    plays = lake.read("plays").to_pylist()
    assert [(row["_offset"], row["track_name"], row["extra"]) for row in plays] == [(0, "夜に駆ける", None), (3, None, '{"mood":"🎧"}')]
    assert {row["_ingested_at"] for row in plays} == {NOW}
    rejected = sorted(lake.read("rejected").to_pylist(), key=lambda row: row["_offset"])
    assert [(row["_offset"], row["value"], row["key"]) for row in rejected] == [(1, b"nonsense", b"ann"), (2, None, b"ann")]
    partition = plays[0]["_partition"]
    assert broker.commits[CONSUMER_GROUP, "user_plays"] == {partition: 4}


def test_a_second_run_stores_nothing_and_commits_nothing(broker, lake):
    publish(broker, "user_likes", make_event("like"))
    drain(broker, lake)
    before = [lake.read_last_batch(topic.table) for topic in TOPICS]
    assert drain(broker, lake).batches == 0
    assert [lake.read_last_batch(topic.table) for topic in TOPICS] == before


def test_a_batch_of_rejected_records_alone_moves_the_position_and_writes_no_event(broker, lake):
    publish(broker, "user_plays", b"{", b"[]")
    report = drain(broker, lake)
    assert (report.events, report.rejected, report.batches) == (0, 2, 1)
    ends = {partition: held.end for partition, held in broker.offsets("user_plays").items() if held.end}
    [(partition, end)] = ends.items()
    assert lake.open_table("plays").read_position(make_position_app_id(broker.log_id("user_plays"), "user_plays", partition)) == end - 1
    assert lake.read("plays").num_rows == 0


def test_of_an_empty_log_one_commit_stores_where_its_partitions_begin(broker, lake):
    assert [drain(broker, lake).batches for _ in range(2)] == [0, 0]
    assert [lake.read_last_batch(topic.table) for topic in TOPICS] == [1] * len(TOPICS)


def test_rejected_records_are_announced_with_their_coordinates(broker, lake):
    publish(broker, "user_skips", make_event("skip"), b"oops")
    drain(broker, lake)
    announced = broker.fetch(DLQ_TOPIC, 0, 0, max_records=10, max_bytes=10_000)
    announcement = json.loads(announced.values[0].as_py())
    assert set(announcement) == {"topic", "partition", "offset", "reason", "detail", "event_id"}
    assert (announcement["topic"], announcement["offset"], announcement["reason"]) == ("user_skips", 1, "not_json")
    assert announced.keys[0].as_py() == f"user_skips/{announcement['partition']}/1".encode()
    assert len(announced) == 1


@pytest.mark.parametrize(
    ("limits", "batches"),
    [
        pytest.param({"max_events": 4}, 3, id="by events"),
        pytest.param({"max_bytes": 1}, 10, id="by bytes, one record at least"),
        pytest.param({}, 1, id="by none"),
    ],
)
def test_a_backlog_is_cut_into_batches_by_its_limits(broker, lake, limits, batches):
    publish(broker, "user_plays", *(make_event() for _ in range(10)))
    assert drain(broker, lake, **limits).batches == batches
    assert sorted(lake.read("plays", ["_offset"])["_offset"].to_pylist()) == list(range(10))


def test_several_partitions_share_a_commit(broker, lake):
    keys = [b"listener-%d" % n for n in range(30)]
    publish(broker, "user_plays", *(make_event() for _ in keys), keys=keys)
    assert all(held.end for held in broker.offsets("user_plays").values())
    assert drain(broker, lake).batches == 1
    assert pc.count_distinct(lake.read("plays", ["_partition"])["_partition"]).as_py() == 2


def test_live_records_are_collected_until_the_batch_is_old_enough(broker, lake):
    publish(broker, "user_plays", make_event())
    more = threading.Timer(0.3, publish, (broker, "user_plays", make_event(), make_event()))
    more.start()
    stop = threading.Event()
    report = make_sink(broker, lake, max_seconds=1.0).run(stop=stop, on_progress=lambda _: stop.set(), for_seconds=30)
    assert (report.events, report.batches) == (3, 1)


def test_a_sink_that_is_stopped_stores_the_current_batch(broker, lake):
    publish(broker, "user_plays", make_event(), make_event())
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    report = make_sink(broker, lake, max_seconds=60).run(stop=stop)
    assert (report.events, report.batches) == (2, 1)
    assert time.monotonic() - begun < 10


def test_a_sink_ends_after_the_given_time(broker, lake):
    assert make_sink(broker, lake).run(for_seconds=0.2).batches == 0


def test_a_new_log_is_read_from_its_start_and_stored_beside_the_old_one(broker, lake):
    publish(broker, "user_plays", make_event(), make_event())
    drain(broker, lake)
    new = make_broker()
    publish(new, "user_plays", make_event())
    assert drain(new, lake).events == 1
    assert lake.read("plays").num_rows == 3


def test_a_log_restored_from_an_old_copy_stops_the_sink(broker, lake):
    publish(broker, "user_plays", make_event(), make_event(), make_event())
    drain(broker, lake)
    older = make_broker()
    older._id = broker._id
    publish(older, "user_plays", make_event())
    with pytest.raises(LogReplaced) as replaced:
        drain(older, lake)
    assert (replaced.value.position, replaced.value.end_offset) == (2, 1)


def test_a_gap_in_the_log_stops_the_sink_and_is_never_skipped(broker, lake):
    publish(broker, "user_plays", make_event())
    drain(broker, lake)
    [partition] = [partition for partition, held in broker.offsets("user_plays").items() if held.end]
    publish(broker, "user_plays", make_event(), make_event())
    broker.trim("user_plays", {partition: 2})
    with pytest.raises(OffsetGap) as gap:
        drain(broker, lake)
    assert (gap.value.expected, gap.value.first_available) == (1, 2)
    assert lake.read("plays").num_rows == 1


def test_a_new_lake_reads_a_trimmed_log_from_its_first_offset(broker, lake):
    publish(broker, "user_plays", make_event(), make_event(), make_event())
    [partition] = [partition for partition, held in broker.offsets("user_plays").items() if held.end]
    broker.trim("user_plays", {partition: 2})
    assert drain(broker, lake).events == 1


class Interrupted(Exception):
    """Simulates a crash at a checkpoint."""


def run_until(broker, lake, point: str, hook=None, topics=TOPICS) -> None:
    def checkpoint(passed: str) -> None:
        if passed == point:
            if hook is None:
                raise Interrupted
            hook()

    Sink(broker, lake, SinkLimits(), clock=lambda: NOW, checkpoint=checkpoint, topics=topics).run(until_drained=True)


def test_rejected_rows_are_read_above_the_position_of_each_partition(broker, lake):
    publish(broker, "user_plays", *[b"oops"] * 24, keys=[b"%d" % number for number in range(24)])
    drain(broker, lake)
    stored = [(row["_partition"], row["_offset"]) for row in lake.read("rejected", ["_partition", "_offset"]).to_pylist()]
    positions = {0: -1, 1: 1}
    rows = RejectedTable(lake.open_table("rejected")).read_above(broker.log_id("user_plays"), "user_plays", positions).to_pylist()
    found = [(row["_partition"], row["_offset"]) for row in rows]
    assert sorted(found) == sorted((number, offset) for number, offset in stored if offset > positions.get(number, offset))
    assert len(found) < len(stored)


def test_a_record_in_bronze_rejected_is_not_stored_again_after_a_crash(broker, lake):
    publish(broker, "user_plays", make_event(), b"oops", make_event())
    with pytest.raises(Interrupted):
        run_until(broker, lake, "rejected_committed")
    publish(broker, "user_plays", b"again", make_event())
    report = drain(broker, lake)
    assert (report.events, report.rejected) == (3, 1)
    assert sorted(lake.read("rejected", ["_offset"])["_offset"].to_pylist()) == [1, 3]


def test_a_record_in_bronze_rejected_stays_there_when_a_newer_contract_accepts_it(broker, lake):
    publish(broker, "user_plays", make_event(), make_event("like"), make_event())
    older = replace(PLAYS, event_types=("like",))
    with pytest.raises(Interrupted):
        run_until(broker, lake, "rejected_committed", topics=[older])
    assert sorted(lake.read("rejected", ["_offset"])["_offset"].to_pylist()) == [0, 2]
    publish(broker, "user_plays", make_event())
    report = make_sink(broker, lake, topics=[PLAYS]).run(until_drained=True)
    assert (report.events, report.rejected) == (1, 1)
    assert lake.read("plays", ["_offset"])["_offset"].to_pylist() == [3]
    assert sorted(lake.read("rejected", ["_offset"])["_offset"].to_pylist()) == [0, 1, 2]


@pytest.mark.parametrize(("old_id", "new_id"), [("a", "b"), ("b", "a")], ids=["older id first", "older id last"])
def test_a_rejected_record_of_an_older_log_does_not_hide_a_record_at_the_same_offset(broker, lake, old_id, new_id):
    broker._id = old_id
    publish(broker, "user_plays", b"oops")
    drain(broker, lake)
    new = make_broker()
    new._id = new_id
    publish(new, "user_plays", make_event())
    assert drain(new, lake).events == 1
    assert lake.read("plays", ["_broker"])["_broker"].to_pylist() == [new_id]


def test_a_rejected_record_of_another_topic_or_partition_does_not_hide_a_record_at_the_same_offset(broker, lake):
    keys = [b"listener-%d" % n for n in range(10)]
    for topic in ("user_likes", "user_skips"):
        publish(broker, topic, *([b"oops"] * 10), keys=keys)
    assert drain(broker, lake).rejected == 20
    publish(broker, "user_plays", *(make_event() for _ in keys), keys=keys)
    assert drain(broker, lake).events == 10


def test_a_record_that_another_sink_rejects_meanwhile_is_not_stored_as_an_event(broker, lake):
    publish(broker, "user_plays", make_event(), b"oops")
    older = replace(PLAYS, event_types=("like",))

    def let_a_sink_of_an_older_contract_reject() -> None:
        if not lake.read_last_batch("rejected"):
            with pytest.raises(Interrupted):
                run_until(broker, lake, "rejected_committed", topics=[older])

    run_until(broker, lake, "files_written", hook=let_a_sink_of_an_older_contract_reject, topics=[PLAYS])
    assert lake.read("plays").num_rows == 0
    assert sorted(lake.read("rejected", ["_offset"])["_offset"].to_pylist()) == [0, 1]


def test_what_a_crashed_sink_rejected_is_announced_by_the_next_one(broker, lake):
    publish(broker, "user_plays", make_event(), b"oops")
    with pytest.raises(Interrupted):
        run_until(broker, lake, "files_written", topics=[PLAYS])
    assert len(broker.fetch(DLQ_TOPIC, 0, 0, max_records=10, max_bytes=10_000)) == 0
    broker_without_dlq = LosingBroker(broker)
    with pytest.raises(Unavailable, match="user_events_dlq: 1 of 1 announcements"):
        drain(broker_without_dlq, lake)
    assert (lake.read("rejected").num_rows, lake.read("plays").num_rows) == (1, 0)
    drain(broker, lake)
    announced = broker.fetch(DLQ_TOPIC, 0, 0, max_records=10, max_bytes=10_000)
    assert [json.loads(value.as_py())["offset"] for value in announced.values] == [1]
    assert (lake.read("rejected").num_rows, lake.read("plays").num_rows) == (1, 1)


class LosingBroker:
    """Acknowledges no append."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def __getattr__(self, name):
        return getattr(self._broker, name)

    def append(self, topic, keys, values) -> Delivery:
        return Delivery(len(keys), failed={}, unsure=dict.fromkeys(range(len(keys)), "connection lost"))


def test_a_sink_that_loses_its_partition_stops_and_stores_nothing_twice(broker, lake):
    publish(broker, "user_plays", make_event(), b"oops")
    with pytest.raises(PositionMoved):
        run_until(broker, lake, "rejected_committed", hook=lambda: drain(broker, lake))
    assert lake.read("plays").num_rows == 1
    assert lake.read("rejected").num_rows == 1


def test_after_a_conflict_bronze_rejected_is_read_again_before_the_commit_is_repeated(broker, lake):
    drain(broker, lake)  # stores where the partitions begin
    publish(broker, "user_plays", make_event(), b"oops")
    publish(broker, "user_skips", b"someone else's")
    skips = [topic for topic in TOPICS if topic.name == "user_skips"]
    others = Sink(broker, lake, SinkLimits(), clock=lambda: NOW, topics=skips)
    plays = [topic for topic in TOPICS if topic.name == "user_plays"]
    points = []

    def let_the_other_sink_commit_first(point: str) -> None:
        points.append(point)
        if len(points) == 1:
            others.run(until_drained=True)

    Sink(broker, lake, SinkLimits(), clock=lambda: NOW, topics=plays, checkpoint=let_the_other_sink_commit_first).run(until_drained=True)
    assert points == ["files_written", "files_written", "rejected_committed", "files_written", "events_committed", "offset_moved"]
    assert sorted(lake.read("rejected", ["_topic"])["_topic"].to_pylist()) == ["user_plays", "user_skips"]
    assert lake.read("plays").num_rows == 1
