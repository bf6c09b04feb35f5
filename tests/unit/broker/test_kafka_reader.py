"""Reading ahead: exact offsets, no gap, limits kept; the consumer is scripted."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.unit.broker.kafka_fakes import ScriptedConsumer, make_message

from soundlake.broker.kafka.reader import SETTINGS, KafkaReader
from soundlake.errors import Unavailable

UNLIMITED = {"max_records": 1_000, "max_bytes": 1_000_000}


def open_reader(*batches, offsets=None):
    consumer = ScriptedConsumer(*batches)
    reader = KafkaReader(consumer, "user_plays", "an id")
    reader.seek(offsets or {0: 0})
    return reader, consumer


def make_run(partition, offsets, value=b"x"):
    return [make_message(partition, offset, value) for offset in offsets]


def list_taken(taken):
    return [(partition, chunk.offsets.tolist()) for partition, chunk in taken]


def test_records_are_taken_as_columns_with_their_partition():
    reader, _ = open_reader([*make_run(0, [0, 1]), *make_run(1, [7], None)], offsets={0: 0, 1: 7})
    assert reader.pull(**UNLIMITED)
    assert reader.has_buffered
    (first, plays), (second, nulls) = reader.take(**UNLIMITED)
    assert (first, plays.begin, plays.timestamps_ms.to_pylist()) == (0, 0, [1_000, 1_001])
    assert (plays.keys.to_pylist(), plays.values.to_pylist()) == ([b"ann"] * 2, [b"x"] * 2)
    assert (second, nulls.begin, nulls.values.to_pylist()) == (1, 7, [None])
    assert not reader.has_buffered


def test_only_partitions_at_another_offset_are_assigned_again_and_dropped_ones_are_unassigned():
    reader, consumer = open_reader(make_run(0, [3, 4]), offsets={0: 3, 1: 0, 2: 9})
    assert consumer.assigned == [(0, 3), (1, 0), (2, 9)]
    reader.pull(**UNLIMITED)
    reader.take(**UNLIMITED)
    reader.seek({0: 5, 1: 8})
    assert consumer.assigned[3:] == [(1, 8)]
    assert consumer.unassigned == [2, 1]


def test_a_partition_with_buffered_records_continues_at_the_first_of_them():
    reader, consumer = open_reader(make_run(0, [0, 1, 2]))
    reader.pull(**UNLIMITED)
    reader.seek({0: 0})
    assert consumer.assigned == [(0, 0)]
    reader.seek({0: 3})
    assert consumer.assigned == [(0, 0), (0, 3)]
    assert not reader.has_buffered


def test_a_pull_without_records_says_so_and_leaves_the_idle_time():
    reader, _ = open_reader([], [make_message(0, 0, error=KafkaError._PARTITION_EOF)])
    time.sleep(0.02)
    assert not reader.pull(**UNLIMITED)
    assert not reader.pull(**UNLIMITED)
    assert reader.idle_seconds >= 0.02


def test_records_and_other_offsets_reset_the_idle_time():
    reader, _ = open_reader(make_run(0, [0]))
    time.sleep(0.02)
    reader.pull(**UNLIMITED)
    assert reader.idle_seconds < 0.02
    time.sleep(0.02)
    reader.seek({0: 0})
    assert reader.idle_seconds >= 0.02
    reader.seek({0: 5})
    assert reader.idle_seconds < 0.02


def test_a_pull_ends_at_its_limits():
    reader, consumer = open_reader(make_run(0, [0, 1]), make_run(0, [2, 3]), make_run(0, [4]))
    assert reader.pull(max_records=3, max_bytes=1_000)
    assert consumer.counts == [3, 1]
    reader, consumer = open_reader(make_run(0, [0, 1], b"x" * 10), make_run(0, [2, 3]))
    assert reader.pull(max_records=1_000_000, max_bytes=20)
    assert consumer.counts == [10_000]


def test_a_take_keeps_the_limit_of_records_and_moves_the_rest_behind_the_other_partitions():
    reader, _ = open_reader([*make_run(0, range(5)), *make_run(1, range(2))], offsets={0: 0, 1: 0})
    reader.pull(**UNLIMITED)
    assert list_taken(reader.take(max_records=3, max_bytes=1_000)) == [(0, [0, 1, 2])]
    assert list_taken(reader.take(max_records=3, max_bytes=1_000)) == [(1, [0, 1]), (0, [3])]
    assert list_taken(reader.take(max_records=3, max_bytes=1_000)) == [(0, [4])]
    assert reader.take(max_records=3, max_bytes=1_000) == []


@pytest.mark.parametrize(("max_bytes", "expected"), [(1, [0]), (10, [0]), (19, [0]), (20, [0, 1]), (35, [0, 1, 2])])
def test_a_take_keeps_the_limit_of_bytes_but_returns_at_least_one_record(max_bytes, expected):
    reader, _ = open_reader(make_run(0, range(2), b"x" * 10), make_run(0, [2, 3], b"x" * 10))
    reader.pull(**UNLIMITED)
    taken = list_taken(reader.take(max_records=100, max_bytes=max_bytes))
    assert [offset for _, offsets in taken for offset in offsets] == expected


def test_the_limit_of_bytes_holds_over_all_partitions():
    reader, _ = open_reader([*make_run(0, [0, 1], b"x" * 10), *make_run(1, [0], b"x" * 10)], offsets={0: 0, 1: 0})
    reader.pull(**UNLIMITED)
    assert list_taken(reader.take(max_records=100, max_bytes=20)) == [(0, [0, 1])]
    assert list_taken(reader.take(max_records=100, max_bytes=20)) == [(1, [0])]


def end_at(partition, offset):
    return make_message(partition, offset, error=KafkaError._PARTITION_EOF)


@pytest.mark.parametrize(("offsets", "gap"), [([1, 2], 0), ([0, 2], 0), ([0, 1, 2], None)], ids=["before the first", "between", "none"])
def test_offsets_without_a_record_are_passed_over_and_named(offsets, gap):
    reader, _ = open_reader(make_run(0, offsets))
    reader.pull(**UNLIMITED)
    assert reader.take_gaps() == ({} if gap is None else {0: gap})
    assert reader.take_gaps() == {}
    ((_, chunk),) = reader.take(**UNLIMITED)
    assert (chunk.begin, chunk.end, chunk.offsets.tolist()) == (0, 3, offsets)


def test_the_end_of_a_partition_behind_its_last_record_is_passed_over_to():
    reader, consumer = open_reader([*make_run(0, [0]), end_at(0, 3), end_at(1, 3)], offsets={0: 0, 1: 3})
    assert reader.pull(**UNLIMITED)
    assert reader.take_gaps() == {0: 1}
    reader.seek({0: 0, 1: 3})  # nothing is taken yet
    taken = [(partition, chunk.begin, chunk.end, len(chunk.offsets)) for partition, chunk in reader.take(**UNLIMITED)]
    assert taken == [(0, 0, 1, 1), (0, 1, 3, 0)]
    reader.seek({0: 3, 1: 3})
    assert consumer.assigned == [(0, 0), (1, 3)]


def test_an_end_without_records_before_it_is_a_chunk_of_its_own_and_resets_the_idle_time():
    reader, _ = open_reader([end_at(0, 2)])
    time.sleep(0.02)
    assert reader.pull(**UNLIMITED)
    assert reader.idle_seconds < 0.02
    ((_, chunk),) = reader.take(max_records=1, max_bytes=1)
    assert (chunk.begin, chunk.end, chunk.values.to_pylist()) == (0, 2, [])


def test_an_end_before_records_of_the_same_pull_changes_nothing():
    reader, _ = open_reader([*make_run(0, [0, 1]), end_at(0, 2), *make_run(0, [2])])
    reader.pull(**UNLIMITED)
    assert (list_taken(reader.take(**UNLIMITED)), reader.take_gaps()) == ([(0, [0, 1, 2])], {})


def test_a_chunk_with_gaps_is_split_at_a_record():
    reader, _ = open_reader([*make_run(0, [1, 3, 6]), end_at(0, 9)])
    reader.pull(**UNLIMITED)
    parts = [reader.take(max_records=1, max_bytes=100) for _ in range(3)] + [reader.take(**UNLIMITED)]
    found = [[(chunk.begin, chunk.end, chunk.offsets.tolist()) for _, chunk in part] for part in parts]
    assert found == [[(0, 2, [1])], [(2, 4, [3])], [(4, 7, [6])], [(7, 9, [])]]


def test_the_first_record_after_a_move_within_the_consumer_must_be_the_requested_one():
    for late in (make_run(0, [5, 6]), [end_at(0, 7)]):
        reader, _ = open_reader(make_run(0, [0, 1]), [], late)
        reader.pull(**UNLIMITED)
        reader.take(**UNLIMITED)
        reader.seek({0: 4})  # what was fetched from 2 on may still come
        reader.pull(**UNLIMITED)
        assert reader.is_in_doubt
        assert not reader.has_buffered
    reader, _ = open_reader(make_run(0, [0, 1]), [], make_run(0, [4, 6]))
    reader.pull(**UNLIMITED)
    reader.take(**UNLIMITED)
    reader.seek({0: 4})
    reader.pull(**UNLIMITED)
    assert (reader.is_in_doubt, list_taken(reader.take(**UNLIMITED))) == (False, [(0, [4, 6])])


@pytest.mark.parametrize("offsets", [[1, 2], [2, 4, 3], [2, 2]], ids=["below the next", "backwards", "twice"])
def test_records_out_of_order_are_an_error(offsets):
    reader, _ = open_reader(make_run(0, offsets), offsets={0: 2})
    with pytest.raises(Unavailable, match="offset 2 is next"):
        reader.pull(**UNLIMITED)


def test_an_offset_out_of_range_is_flagged_and_its_partition_is_assigned_again_on_the_next_seek():
    reader, consumer = open_reader([make_message(0, 9, error=KafkaError._AUTO_OFFSET_RESET)], offsets={0: 9, 1: 0})
    assert not reader.is_out_of_range
    reader.pull(**UNLIMITED)
    assert reader.is_out_of_range
    assert consumer.unassigned == [0]
    reader.seek({0: 9, 1: 0})
    assert consumer.assigned == [(0, 9), (1, 0), (0, 9)]
    assert reader.is_out_of_range
    reader.reset_idle()
    assert not reader.is_out_of_range


@pytest.mark.parametrize("partition", [0, None])
def test_any_other_error_is_raised(partition):
    reader, _ = open_reader([make_message(partition, 0, error=KafkaError._TRANSPORT)])
    with pytest.raises(KafkaException):
        reader.pull(**UNLIMITED)


def test_records_before_an_error_are_buffered():
    reader, _ = open_reader([*make_run(0, [0]), make_message(0, 0, error=KafkaError._TRANSPORT)])
    with pytest.raises(KafkaException):
        reader.pull(**UNLIMITED)
    assert list_taken(reader.take(**UNLIMITED)) == [(0, [0])]


def test_records_of_a_partition_that_is_no_longer_read_are_dropped():
    reader, _ = open_reader([*make_run(1, [0]), *make_run(0, [4])], offsets={0: 4, 1: 0})
    reader.seek({0: 4})
    reader.pull(**UNLIMITED)
    assert list_taken(reader.take(**UNLIMITED)) == [(0, [4])]


def test_closing_closes_the_consumer():
    reader, consumer = open_reader()
    reader.close()
    assert consumer.is_closed


def test_the_consumer_commits_nothing_and_skips_nothing():
    wanted = {"enable_auto_commit": False, "enable_auto_offset_store": False, "auto_offset_reset": "error", "enable_partition_eof": True}
    wanted["isolation_level"] = "read_committed"
    assert {name: SETTINGS[name] for name in wanted} == wanted
