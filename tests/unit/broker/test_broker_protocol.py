"""The values that every broker shares, and the checks of arguments."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.unit.broker.broker_contract import read_all

from soundlake.broker import Delivery, EmbeddedBroker, MemoryBroker, OffsetRange
from soundlake.broker.protocol import Assignment, read_utc_now, to_epoch_ms
from soundlake.broker.validation import MAX_RECORD_BYTES, TOO_LARGE, check_partition_count, check_partitions_exist, find_too_large
from soundlake.contract.topics import PLAYS
from soundlake.errors import LogReplaced, OffsetGap, TopicMissing, UsageError


def test_a_delivery_acknowledges_what_neither_failed_nor_is_unsure():
    assert Delivery(5, {0: "large"}, {1: "lost", 2: "lost"}).acknowledged == 2


def test_an_offset_range_accepts_its_offsets_and_its_end():
    held = OffsetRange(3, 7)
    assert len(held) == 4
    held.check("plays", 1, 3)
    held.check("plays", 1, 7)
    with pytest.raises(OffsetGap) as gap:
        held.check("plays", 1, 2)
    assert (gap.value.topic, gap.value.partition, gap.value.expected, gap.value.first_available) == ("plays", 1, 2, 3)
    with pytest.raises(LogReplaced) as replaced:
        held.check("plays", 1, 8)
    assert (replaced.value.position, replaced.value.end_offset) == (7, 7)


def test_an_assignment_covers_its_partitions_and_one_without_partitions_covers_all():
    some = Assignment({"plays": frozenset({1})})
    assert [some.covers("plays", 1), some.covers("plays", 2), some.covers("skips", 1)] == [True, False, False]
    assert Assignment().covers("skips", 9)
    assert isinstance(some.revoked, threading.Event)
    assert some.revoked is not Assignment().revoked


def test_times_are_milliseconds_of_utc_rounded_down():
    assert to_epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 1_999, tzinfo=UTC)) == 1_001
    assert read_utc_now().utcoffset() == timedelta(0)


def test_a_record_of_exactly_the_limit_is_not_too_large():
    assert find_too_large(np.array([MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1, 0])) == {1: TOO_LARGE}
    assert MAX_RECORD_BYTES == 1_048_576


def test_a_topic_has_at_least_one_partition():
    check_partition_count(1)
    with pytest.raises(UsageError, match="0 partitions"):
        check_partition_count(0)


def test_partitions_are_checked_against_the_topic():
    check_partitions_exist("plays", 3, [0, 2])
    with pytest.raises(TopicMissing):
        check_partitions_exist("plays", 0)
    for number in (3, -1):
        with pytest.raises(UsageError, match=f"no partition {number}: they are 0 to 2"):
            check_partitions_exist("plays", 3, [0, number])


@pytest.fixture(params=["memory", "embedded"])
def local_broker(request, tmp_path):
    broker = MemoryBroker() if request.param == "memory" else EmbeddedBroker(tmp_path / "broker.db")
    broker.create_topics([PLAYS], partitions=3)
    yield broker
    broker.close()


def test_appends_without_a_key_rotate_over_the_partitions(local_broker):
    for number in range(6):
        local_broker.append(PLAYS.name, [None], [b"%d" % number])
    values = [[value for _, _, value in rows] for rows in read_all(local_broker, PLAYS.name).values()]
    assert values == [[b"0", b"3"], [b"1", b"4"], [b"2", b"5"]]


def fill_evenly(broker):
    for _ in range(3):
        broker.append(PLAYS.name, [None] * 10, [b"0123456789"] * 10)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_records": 6, "max_bytes": 1_000}, [2, 2, 2]),
        ({"max_records": 2, "max_bytes": 1_000}, [1, 1]),
        ({"max_records": 11, "max_bytes": 1_000}, [3, 4, 4]),
        ({"max_records": 100, "max_bytes": 60}, [2, 1, 1]),  # what was taken is counted with Arrow's offsets
        ({"max_records": 100, "max_bytes": 1}, [1, 1, 1]),
    ],
    ids=str,
)
def test_a_poll_divides_its_limits_evenly(local_broker, limits, expected):
    fill_evenly(local_broker)
    assert [len(run) for run in local_broker.poll(PLAYS.name, {0: 0, 1: 0, 2: 0}, **limits)] == expected


def test_partitions_at_their_end_take_no_part_of_the_limits(local_broker):
    fill_evenly(local_broker)
    runs = local_broker.poll(PLAYS.name, {0: 10, 1: 0, 2: 10}, max_records=8, max_bytes=1_000)
    assert [(run.partition, len(run)) for run in runs] == [(1, 8)]


def test_committed_offsets_of_the_broker_in_memory_can_be_read():
    broker = MemoryBroker()
    broker.create_topics([PLAYS], partitions=3)
    broker.commit("sinks", PLAYS.name, {0: 5, 2: 7})
    broker.commit("sinks", PLAYS.name, {0: 6})
    broker.commit("others", PLAYS.name, {1: 1})
    assert broker.commits == {("sinks", PLAYS.name): {0: 6, 2: 7}, ("others", PLAYS.name): {1: 1}}
