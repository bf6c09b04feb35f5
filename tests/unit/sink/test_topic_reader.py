"""A topic's reader: where it starts, when a batch is full, what it reports, and what stops it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from soundlake.broker.memory import MemoryBroker
from soundlake.broker.protocol import Assignment
from soundlake.contract.topics import PLAYS
from soundlake.errors import LogReplaced, OffsetGap, TopicMissing, TopicRecreated
from soundlake.lake import NO_POSITION, MemoryBronzeTables, PositionMove, make_position_app_id
from soundlake.sink import SinkLimits
from soundlake.sink.models import LARGEST_BATCH_BYTES
from soundlake.sink.observer import NoOpObserver
from soundlake.sink.topic_reader import TopicReader

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VALUE = b"x" * 10


class LagObserver(NoOpObserver):
    """Keeps the lags that it is called with."""

    def __init__(self) -> None:
        self.lags: list[tuple[str, dict[int, int]]] = []

    def record_lag(self, topic, behind) -> None:
        self.lags.append((topic, dict(behind)))


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(clock=lambda: NOW)
    broker.create_topics([PLAYS], partitions=2)
    return broker


@pytest.fixture
def tables() -> MemoryBronzeTables:
    return MemoryBronzeTables()


def publish(broker: MemoryBroker, count: int, key: bytes = b"ann") -> int:
    """Records of one key; returns their partition."""
    before = broker.offsets(PLAYS.name)
    broker.append(PLAYS.name, [key] * count, [VALUE] * count)
    after = broker.offsets(PLAYS.name)
    [partition] = [number for number in after if after[number].end > before[number].end]
    return partition


def make_reader(broker, tables, assignment=None, observer=None, **limits) -> TopicReader:
    reader = TopicReader(
        PLAYS,
        assignment or Assignment(),
        broker=broker,
        open_table=lambda: tables.open_table("plays"),
        limits=SinkLimits(**limits),
        observer=observer or NoOpObserver(),
    )
    reader.check_log(time.monotonic())
    return reader


def store_position(broker, tables, partition: int, last: int) -> None:
    app_id = make_position_app_id(broker.log_id(PLAYS.name), PLAYS.name, partition)
    table = tables.open_table("plays")
    table.append(table.read().drop_columns("_batch"), [PositionMove(app_id, table.read_position(app_id), last)])


def test_without_a_position_a_partition_is_read_from_the_first_offset_of_the_log(broker, tables):
    partition = publish(broker, 5)
    broker.trim(PLAYS.name, {partition: 2})
    reader = make_reader(broker, tables)
    assert reader.positions == {0: NO_POSITION, 1: NO_POSITION}
    assert reader.read(time.monotonic())
    batch = reader.close_batch()
    assert (batch.batch.offsets.tolist(), batch.batch.last_offsets, batch.is_log_gone) == ([2, 3, 4], {partition: 4}, False)


def test_with_a_position_a_partition_is_read_from_the_offset_after_it(broker, tables):
    partition = publish(broker, 5)
    store_position(broker, tables, partition, 2)
    reader = make_reader(broker, tables)
    assert reader.positions[partition] == 2
    reader.read(time.monotonic())
    assert reader.close_batch().batch.offsets.tolist() == [3, 4]


def test_a_batch_holds_its_partitions_one_after_another_in_offset_order(broker, tables):
    partitions = [publish(broker, 2, key) for key in (b"a", b"b", b"c", b"d", b"e", b"a")]
    reader = make_reader(broker, tables)
    reader.read(time.monotonic())
    batch = reader.close_batch().batch
    expected = [(number, offset) for number in (0, 1) for offset in range(2 * partitions.count(number))]
    assert list(zip(batch.partitions.tolist(), batch.offsets.tolist(), strict=True)) == expected
    assert len(batch) == len(batch.values) == len(batch.keys) == len(batch.timestamps_ms) == 12
    assert not reader.has_records


def test_only_assigned_partitions_are_read_and_reported(broker, tables):
    taken = publish(broker, 3)
    observer = LagObserver()
    other = Assignment({PLAYS.name: frozenset({1 - taken})})
    reader = make_reader(broker, tables, other, observer)
    assert not reader.read(time.monotonic())
    assert (reader.fetch_end_offsets(), observer.lags) == ({1 - taken: 0}, [(PLAYS.name, {1 - taken: 0})])
    assert make_reader(broker, tables, Assignment({PLAYS.name: frozenset({taken})})).fetch_end_offsets() == {taken: 3}


def test_the_lag_is_what_the_log_holds_beyond_the_position(broker, tables):
    partition = publish(broker, 5)
    broker.trim(PLAYS.name, {partition: 1})
    observer = LagObserver()
    make_reader(broker, tables, observer=observer)
    store_position(broker, tables, partition, 2)
    reader = make_reader(broker, tables, observer=observer)
    reader.positions[partition] = 4
    reader.read(time.monotonic() + 2)
    assert [lag[partition] for _, lag in observer.lags] == [4, 2, 0]
    assert {topic for topic, _ in observer.lags} == {PLAYS.name}


def test_the_log_is_checked_once_a_second(broker, tables):
    observer, begun = LagObserver(), time.monotonic()
    reader = make_reader(broker, tables, observer=observer)
    reader.read(begun + 0.5)
    assert len(observer.lags) == 1
    reader.read(begun + 1.5)
    reader.read(begun + 1.6)
    assert len(observer.lags) == 2


@pytest.mark.parametrize(
    ("limits", "count"),
    [({"max_events": 4}, 4), ({"max_bytes": 35}, 3), ({"max_bytes": 1}, 1), ({"max_events": 10}, 10)],
    ids=["events", "bytes (14 a record, with its offset in Arrow)", "one record at least", "exactly all"],
)
def test_a_batch_is_full_at_its_first_limit(broker, tables, limits, count):
    publish(broker, 10)
    reader = make_reader(broker, tables, max_seconds=3_600, **limits)
    assert not reader.is_full(time.monotonic())
    while reader.read(time.monotonic()):
        pass
    assert reader.is_full(time.monotonic())
    assert len(reader.close_batch().batch) == count
    assert not reader.is_full(time.monotonic())


def test_a_batch_is_full_when_its_first_record_is_old_enough(broker, tables):
    reader = make_reader(broker, tables, max_seconds=5.0)
    begun = time.monotonic()
    assert not reader.is_full(begun + 60)  # an empty one never is
    publish(broker, 1)
    reader.read(begun)
    publish(broker, 1)
    reader.read(begun + 3)
    assert not reader.is_full(begun + 4.9)
    assert reader.is_full(begun + 5.0)


def test_the_bytes_of_a_batch_have_a_limit_whatever_is_set(broker, tables):
    polled = []

    class Recorder:
        def __getattr__(self, name):
            return getattr(broker, name)

        def poll(self, *args, max_records, max_bytes):
            polled.append((max_records, max_bytes))
            return broker.poll(*args, max_records=max_records, max_bytes=max_bytes)

    publish(broker, 3)
    make_reader(Recorder(), tables, max_events=100, max_bytes=2**40).read(time.monotonic())
    assert polled[0] == (100, LARGEST_BATCH_BYTES)
    assert polled[1][0] == 97
    assert LARGEST_BATCH_BYTES - 100 < polled[1][1] < LARGEST_BATCH_BYTES


def test_a_reader_knows_whether_it_has_read_to_given_offsets(broker, tables):
    partition = publish(broker, 3)
    reader = make_reader(broker, tables)
    ends = reader.fetch_end_offsets()
    assert ends == {partition: 3, 1 - partition: 0}
    assert not reader.has_read_to(ends)
    reader.read(time.monotonic())
    assert reader.has_read_to(ends)
    assert not reader.has_read_to({partition: 4})
    assert not reader.has_read_to({7: 1})
    assert reader.has_read_to({7: 0})


def test_a_topic_with_another_log_is_noticed_by_the_check_and_by_its_records(broker, tables):
    publish(broker, 1)
    for seconds in (0.0, 2.0):
        reader = make_reader(broker, tables)
        old, broker._id = broker._id, f"recreated after {seconds}"
        assert reader.find_current_log_id() == broker._id
        with pytest.raises(TopicRecreated) as error:
            reader.read(time.monotonic() + seconds)
        assert (error.value.topic, error.value.before, error.value.now) == (PLAYS.name, old, broker._id)


def test_a_missing_topic_has_no_log_id(broker, tables):
    reader = make_reader(broker, tables)
    broker._topics.clear()
    assert reader.find_current_log_id() == ""
    with pytest.raises(TopicMissing):
        make_reader(broker, tables)


def test_a_position_outside_of_the_log_stops_the_reader(broker, tables):
    partition = publish(broker, 3)
    store_position(broker, tables, partition, 3)
    with pytest.raises(LogReplaced):
        make_reader(broker, tables)
    publish(broker, 3)
    broker.trim(PLAYS.name, {partition: 5})
    with pytest.raises(OffsetGap):
        make_reader(broker, tables)
