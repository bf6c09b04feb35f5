"""Tests of the `Broker` interface: the test class of each broker inherits them and provides `open_broker`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from soundlake.broker import Broker, OffsetRange, Records
from soundlake.broker.validation import MAX_RECORD_BYTES
from soundlake.contract.topics import LIKES, PLAYS, SKIPS
from soundlake.errors import LogReplaced, OffsetGap, UsageError

START = datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC)
FOREVER = {"max_records": 1_000_000, "max_bytes": 1 << 30}


class SteppingClock:
    """A clock that moves only when the test sets it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def read_all(broker: Broker, topic: str, **limits: int) -> dict[int, list[tuple[int, bytes | None, bytes | None]]]:
    """Every record of the topic as (offset, key, value), by partition, fetched in steps of the given limits."""
    found = {}
    for partition, held in broker.offsets(topic).items():
        rows: list[tuple[int, bytes | None, bytes | None]] = []
        while held.begin + len(rows) < held.end:
            records = broker.fetch(topic, partition, held.begin + len(rows), **{**FOREVER, **limits})
            assert len(records) > 0
            rows += zip(records.offsets.to_pylist(), records.keys.to_pylist(), records.values.to_pylist(), strict=True)
        found[partition] = rows
    return found


def poll_all(broker: Broker, topic: str, **limits: int) -> dict[int, list[tuple[int, bytes | None, bytes | None]]]:
    """The same by polls of all partitions."""
    held = broker.offsets(topic)
    found: dict[int, list[tuple[int, bytes | None, bytes | None]]] = {partition: [] for partition in held}
    deadline = time.monotonic() + 20
    while any(held[partition].begin + len(found[partition]) < held[partition].end for partition in held):
        assert time.monotonic() < deadline, "the appended records do not arrive"
        places = {partition: held[partition].begin + len(found[partition]) for partition in held}
        for records in broker.poll(topic, places, **{**FOREVER, **limits}):
            assert len(records) > 0
            assert records.log_id == broker.log_id(topic)
            assert records.offsets[0].as_py() == held[records.partition].begin + len(found[records.partition])
            rows = zip(records.offsets.to_pylist(), records.keys.to_pylist(), records.values.to_pylist(), strict=True)
            found[records.partition] += rows
    return found


def poll_until(broker: Broker, places: dict[int, int], **limits: int) -> list[Records]:
    """The first poll of the plays that returns records."""
    deadline = time.monotonic() + 20
    while not (found := broker.poll(PLAYS.name, places, **{**FOREVER, **limits})):
        assert time.monotonic() < deadline, places
        time.sleep(0.005)
    return found


class BrokerContract:
    """Inherit it and define a fixture `open_broker(clock)` that returns an empty broker and closes it."""

    @pytest.fixture
    def clock(self):
        return SteppingClock()

    @pytest.fixture
    def broker(self, open_broker, clock):
        broker = open_broker(clock)
        broker.create_topics([PLAYS, SKIPS], partitions=3)
        return broker

    def test_a_new_topic_is_empty_in_every_partition(self, broker):
        assert broker.partitions(PLAYS.name) == [0, 1, 2]
        assert broker.offsets(PLAYS.name) == {number: OffsetRange(0, 0) for number in range(3)}
        assert len(broker.fetch(PLAYS.name, 1, 0, **FOREVER)) == 0

    def test_creating_an_existing_topic_changes_nothing(self, broker):
        broker.append(PLAYS.name, [b"ann"], [b"1"])
        before = read_all(broker, PLAYS.name)
        broker.create_topics([PLAYS, LIKES], partitions=7)
        assert read_all(broker, PLAYS.name) == before
        assert len(broker.partitions(LIKES.name)) == 7

    def test_a_topic_without_partitions_is_refused(self, broker):
        with pytest.raises(UsageError, match="at least one"):
            broker.create_topics([LIKES], partitions=0)

    def test_records_of_one_key_are_in_one_partition_in_order(self, broker):
        keys = [b"user-%d" % (n % 17) for n in range(500)]
        for start in range(0, 500, 100):
            numbers = [b"%d" % n for n in range(start, start + 100)]
            assert broker.append(PLAYS.name, keys[start : start + 100], numbers).acknowledged == 100
        partition_of = {}
        for partition, rows in read_all(broker, PLAYS.name).items():
            for key in {key for _, key, _ in rows}:
                assert partition_of.setdefault(key, partition) == partition
                values = [int(value) for _, found, value in rows if found == key]
                assert values == sorted(values)
                assert len(values) == keys.count(key)
        assert len(partition_of) == 17

    def test_keys_map_to_partitions_as_kafka_s_java_client_maps_them(self, broker):
        # murmur2: "21" → -973932308, "foobar" → -790332482, "abc" → 479470107 (Kafka's UtilsTest), made positive, modulo 3
        expected = {b"21": (-973932308 & 0x7FFFFFFF) % 3, b"foobar": (-790332482 & 0x7FFFFFFF) % 3, b"abc": 479470107 % 3}
        broker.append(PLAYS.name, list(expected), [b"x"] * 3)
        found = {key: partition for partition, rows in read_all(broker, PLAYS.name).items() for _, key, _ in rows}
        assert found == expected

    def test_offsets_have_no_gaps_over_many_appends(self, broker):
        for size in (1, 10, 100, 3):
            broker.append(PLAYS.name, [b"user-%d" % n for n in range(size)], [b"x"] * size)
        for partition, rows in read_all(broker, PLAYS.name).items():
            assert [offset for offset, _, _ in rows] == list(range(broker.offsets(PLAYS.name)[partition].end))

    def test_nulls_empty_values_and_any_bytes_are_returned_unchanged(self, broker):
        values = [None, b"", b"\x00\xff\n", "שלום 🎵".encode(), b"{}", None]
        broker.append(PLAYS.name, [b"ann"] * 6, values)
        (rows,) = [rows for rows in read_all(broker, PLAYS.name).values() if rows]
        assert [value for _, _, value in rows] == values

    def test_records_without_a_key_are_kept_with_a_null_key(self, broker):
        for _ in range(3):
            broker.append(PLAYS.name, [None, b"", None], [b"1", b"2", b"3"])
        rows = [row for rows in read_all(broker, PLAYS.name).values() for row in rows]
        assert sorted(row[1:] for row in rows if row[1] is None) == [(None, b"1")] * 3 + [(None, b"3")] * 3
        assert [row[1:] for row in rows if row[1] is not None] == [(b"", b"2")] * 3

    def test_an_append_of_nothing_is_a_delivery_of_nothing(self, broker):
        assert broker.append(PLAYS.name, [], []).acknowledged == 0
        assert sum(len(held) for held in broker.offsets(PLAYS.name).values()) == 0

    def test_topics_do_not_mix(self, broker):
        broker.append(PLAYS.name, [b"ann"], [b"play"])
        broker.append(SKIPS.name, [b"ann"], [b"skip"])
        assert [row[2] for rows in read_all(broker, SKIPS.name).values() for row in rows] == [b"skip"]

    def test_each_record_carries_the_time_of_its_append(self, broker, clock):
        broker.append(PLAYS.name, [b"ann"] * 2, [b"1", b"2"])
        clock.now += timedelta(milliseconds=2)
        broker.append(PLAYS.name, [b"ann"], [b"3"])
        (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
        records = broker.fetch(PLAYS.name, partition, 1, **FOREVER)
        assert records.timestamps_ms.to_pylist() == [1_709_251_199_999, 1_709_251_200_001]

    def test_columns_of_a_fetch_have_the_documented_types(self, broker):
        broker.append(PLAYS.name, [b"ann"], [b"1"])
        for partition in broker.partitions(PLAYS.name):
            records = broker.fetch(PLAYS.name, partition, 0, **FOREVER)
            types = [column.type for column in (records.offsets, records.timestamps_ms, records.keys, records.values)]
            assert types == [pa.int64(), pa.int64(), pa.binary(), pa.binary()]

    @pytest.mark.parametrize("limits", [{"max_records": 1}, {"max_records": 7}, {"max_bytes": 1}, {"max_bytes": 40}], ids=str)
    def test_fetching_in_small_steps_finds_what_one_fetch_finds(self, broker, limits):
        for start in range(0, 60, 20):
            broker.append(PLAYS.name, [b"user-%d" % n for n in range(20)], [b"value-%d" % n for n in range(start, start + 20)])
        assert read_all(broker, PLAYS.name, **limits) == read_all(broker, PLAYS.name)

    def test_a_fetch_stays_within_its_limits(self, broker):
        broker.append(PLAYS.name, [b"ann"] * 100, [b"0123456789"] * 100)
        (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
        assert len(broker.fetch(PLAYS.name, partition, 20, max_records=30, max_bytes=1000)) == 30
        assert len(broker.fetch(PLAYS.name, partition, 20, max_records=100, max_bytes=50)) == 5
        assert len(broker.fetch(PLAYS.name, partition, 20, max_records=100, max_bytes=49)) == 4
        assert len(broker.fetch(PLAYS.name, partition, 20, max_records=100, max_bytes=3)) == 1

    @pytest.mark.parametrize("limits", [{}, {"max_records": 1}, {"max_records": 7}, {"max_bytes": 1}, {"max_bytes": 40}], ids=str)
    def test_polling_all_partitions_finds_what_fetching_finds(self, broker, limits):
        for start in range(0, 60, 20):
            broker.append(PLAYS.name, [b"user-%d" % n for n in range(20)], [b"value-%d" % n for n in range(start, start + 20)])
        assert all(len(held) for held in broker.offsets(PLAYS.name).values())
        assert poll_all(broker, PLAYS.name, **limits) == read_all(broker, PLAYS.name)

    def test_a_poll_keeps_its_limits_and_starts_at_the_given_offsets(self, broker):
        broker.append(PLAYS.name, [b"user-%d" % n for n in range(300)], [b"0123456789"] * 300)
        places = dict.fromkeys(broker.partitions(PLAYS.name), 0)
        runs = poll_until(broker, places, max_records=30)
        assert 1 <= sum(map(len, runs)) <= 30
        assert len(poll_until(broker, {0: 5}, max_bytes=3)[0]) == 1
        for first, count in ((5, 2), (2, 3)):  # again, and backwards
            found = [offset for run in poll_until(broker, {0: first}, max_records=count) for offset in run.offsets.to_pylist()]
            assert 1 <= len(found) <= count
            assert found == list(range(first, first + len(found)))

    def test_a_poll_at_the_end_returns_nothing_until_a_record_is_appended(self, broker):
        broker.append(PLAYS.name, [b"ann"], [b"1"])
        ends = {partition: held.end for partition, held in broker.offsets(PLAYS.name).items()}
        for _ in range(3):
            assert broker.poll(PLAYS.name, ends, **FOREVER) == []
        broker.append(PLAYS.name, [b"ann"], [None])
        (run,) = poll_until(broker, ends)
        assert (run.offsets.to_pylist(), run.keys.to_pylist(), run.values.to_pylist()) == ([1], [b"ann"], [None])

    def test_a_poll_below_the_beginning_or_beyond_the_end_is_an_error(self, broker):
        broker.append(PLAYS.name, [b"ann"] * 10, [b"x"] * 10)
        (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
        broker.trim(PLAYS.name, {partition: 4})
        with pytest.raises(OffsetGap) as gap:
            poll_until(broker, {partition: 3})
        assert (gap.value.expected, gap.value.first_available) == (3, 4)
        with pytest.raises(LogReplaced) as replaced:
            poll_until(broker, {partition: 11})
        assert (replaced.value.position, replaced.value.end_offset) == (10, 10)
        assert poll_until(broker, {partition: 4})[0].offsets[0].as_py() == 4

    def test_a_record_too_large_fails_and_the_others_are_stored(self, broker):
        delivery = broker.append(PLAYS.name, [b"ann"] * 3, [b"1", b"x" * MAX_RECORD_BYTES, b"3"])
        assert delivery.acknowledged == 2
        assert list(delivery.failed) == [1]
        assert "larger than" in delivery.failed[1]
        assert [value for rows in read_all(broker, PLAYS.name).values() for _, _, value in rows] == [b"1", b"3"]

    def test_a_key_for_each_value_is_required(self, broker):
        with pytest.raises(UsageError, match="1 keys for 2 values"):
            broker.append(PLAYS.name, [b"ann"], [b"1", b"2"])

    def test_trimmed_records_are_deleted_and_later_offsets_stay(self, broker):
        broker.append(PLAYS.name, [b"ann"] * 10, [b"%d" % n for n in range(10)])
        broker.append(PLAYS.name, [b"ann"] * 10, [b"%d" % n for n in range(10, 20)])
        (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
        broker.trim(PLAYS.name, {partition: 13})
        assert broker.offsets(PLAYS.name)[partition] == OffsetRange(13, 20)
        assert broker.fetch(PLAYS.name, partition, 13, **FOREVER).values.to_pylist() == [b"%d" % n for n in range(13, 20)]
        broker.trim(PLAYS.name, {partition: 5})
        assert broker.offsets(PLAYS.name)[partition] == OffsetRange(13, 20)
        broker.trim(PLAYS.name, {partition: 1000})
        assert broker.offsets(PLAYS.name)[partition] == OffsetRange(20, 20)
        broker.append(PLAYS.name, [b"ann"], [b"20"])
        assert read_all(broker, PLAYS.name)[partition] == [(20, b"ann", b"20")]

    def test_a_fetch_below_the_beginning_names_the_gap(self, broker):
        broker.append(PLAYS.name, [b"ann"] * 10, [b"x"] * 10)
        (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
        broker.trim(PLAYS.name, {partition: 4})
        with pytest.raises(OffsetGap) as caught:
            broker.fetch(PLAYS.name, partition, 3, **FOREVER)
        assert (caught.value.expected, caught.value.first_available) == (3, 4)
        assert len(broker.fetch(PLAYS.name, partition, 4, **FOREVER)) == 6

    def test_a_fetch_beyond_the_end_means_another_log(self, broker):
        with pytest.raises(LogReplaced) as caught:
            broker.fetch(PLAYS.name, 0, 1, **FOREVER)
        assert (caught.value.position, caught.value.end_offset) == (0, 0)
        assert len(broker.fetch(PLAYS.name, 0, 0, **FOREVER)) == 0

    def test_each_log_has_its_own_id(self, open_broker, broker, clock):
        other = open_broker(clock)
        other.create_topics([PLAYS], partitions=1)
        assert broker.log_id(PLAYS.name) == broker.log_id(PLAYS.name)
        assert broker.log_id(PLAYS.name) != other.log_id(PLAYS.name)

    def test_an_unknown_topic_or_partition_is_named(self, broker):
        for ask in (broker.log_id, broker.partitions, broker.offsets, lambda topic: broker.append(topic, [None], [b"x"])):
            with pytest.raises(UsageError, match="user_likes"):
                ask(LIKES.name)
        with pytest.raises(UsageError, match="no partition 3"):
            broker.fetch(PLAYS.name, 3, 0, **FOREVER)
        with pytest.raises(UsageError, match="no partition 3"):
            broker.poll(PLAYS.name, {0: 0, 3: 0}, **FOREVER)
        with pytest.raises(UsageError, match="user_likes"):
            broker.poll(LIKES.name, {0: 0}, **FOREVER)
        with pytest.raises(UsageError, match="no partition -1"):
            broker.commit("sink", PLAYS.name, {-1: 1})
