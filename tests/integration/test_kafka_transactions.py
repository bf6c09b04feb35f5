"""Producers with transactions on a real broker: committed records are stored once, aborted ones never, and the sums add up."""

from __future__ import annotations

import random

import pytest
from tests.integration.kafka_cases import RunningSink, make_plays, open_lake, read_ids, stored_ids, wait_until
from tests.integration.kafka_producers import Transactions, configure_topic

from soundlake.contract.topics import PLAYS
from soundlake.errors import OffsetGap, TopicCompacted
from soundlake.lake import MissingKind, make_missing_app_ids, make_position_app_id
from soundlake.operations.stack.probes import make_probes
from soundlake.reconciliation.log_vs_bronze import check_log, count_waiting
from soundlake.sink import Sink, SinkLimits

CHECK = "user_plays: log = bronze + rejected"


def drain(broker, lake):
    return Sink(broker, lake, SinkLimits(), topics=[PLAYS]).run(until_drained=True, retry_seconds=20)


def find_check(broker, lake):
    checks = {check.name: check for check in check_log(broker, lake)}
    assert all(check.ok for check in checks.values()), checks
    return checks[CHECK]


def wait_for_end(broker, end: int, partition: int = 0) -> None:
    """A marker is written a moment after the producer's call returns."""
    wait_until(lambda: broker.offsets(PLAYS.name)[partition].end >= end)


def test_committed_records_are_stored_aborted_ones_are_not_and_the_sums_add_up(access, broker, tmp_path):
    lake, (_, values) = open_lake(tmp_path), make_plays(30)
    producer = Transactions(access)
    producer.send(values[:10])  # 0 to 9, marker 10 (one producer: its next records come after the marker)
    producer.send(values[10:15], commit=False)  # 11 to 15, marker 16
    producer.send([*values[15:25], b"no event"])  # 17 to 27, marker 28
    producer.send(values[25:], commit=False)  # 29 to 33, marker 34
    wait_for_end(broker, 35)
    report = drain(broker, lake)
    assert (report.events, report.rejected, report.held_back) == (20, 1, 0)
    assert sorted(stored_ids(lake)) == sorted(read_ids(values[:10] + values[15:25]))
    found = find_check(broker, lake)
    assert (found.expected, found.parts) == (35, {"bronze": 20, "rejected": 1, "offsets without a record": 14})
    app_id, table = make_position_app_id(broker.log_id(PLAYS.name), PLAYS.name, 0), lake.open_table(PLAYS.table)
    assert [table.read_position(name) for name in (app_id, *make_missing_app_ids(app_id, MissingKind.EMPTY))] == [34, 14, 10]
    assert count_waiting(broker, lake) == 0
    assert drain(broker, lake).batches == 0


def test_markers_alone_move_the_position(access, broker, tmp_path):
    lake, (_, values) = open_lake(tmp_path), make_plays(3)
    producer = Transactions(access)
    producer.send(values, commit=False)
    wait_for_end(broker, 4)
    report = drain(broker, lake)
    assert (report.events, report.batches) == (0, 1)
    assert find_check(broker, lake).parts == {"bronze": 0, "rejected": 0, "offsets without a record": 4}


def test_an_open_transaction_is_waited_for_and_reported(access, broker, tmp_path, caplog):
    lake, (_, values) = open_lake(tmp_path), make_plays(20)
    producer, other = Transactions(access), Transactions(access)
    other.send(values[:5])  # 0 to 4, marker 5
    wait_for_end(broker, 6)
    producer.begin(values[5:10])  # 6 to 10
    other.send(values[10:])  # behind the open one: 11 to 20, marker 21
    wait_until(lambda: broker.count_held_back(PLAYS.name) == {0: 16})
    report = drain(broker, lake)
    assert (report.events, report.held_back) == (5, 16)
    assert "user_plays[0]: an open transaction holds back 16 offsets" in caplog.text
    status = make_probes(tmp_path, lambda: AlwaysOpen(broker), lambda: lake, tmp_path, lambda: None)["sink"]()
    assert status.notes == ("user_plays[0]: an open transaction holds back 16 offsets; they are read when it ends",)
    assert find_check(broker, lake).expected == 6
    producer.end()
    wait_for_end(broker, 23)
    assert drain(broker, lake).held_back == 0
    assert sorted(stored_ids(lake)) == sorted(read_ids(values))
    assert find_check(broker, lake).parts == {"bronze": 20, "rejected": 0, "offsets without a record": 3}


class AlwaysOpen:
    """A broker that a probe does not close."""

    def __init__(self, broker) -> None:
        self._broker = broker

    def __getattr__(self, name):
        return getattr(self._broker, name)

    def close(self) -> None:
        """Nothing."""


def test_a_live_sink_stores_what_many_transactions_commit(access, broker, tmp_path):
    lake, (keys, values), choose = open_lake(tmp_path), make_plays(2_000), random.Random(12)
    producers, committed = [Transactions(access, number) for number in (0, 1)], []
    with RunningSink(access, lake) as sink:
        while values:
            count, is_committed = choose.randint(1, 60), choose.random() < 0.6
            part, values = values[:count], values[count:]
            if choose.random() < 0.2:
                broker.append(PLAYS.name, keys[: len(part)], part)
                committed += part
                continue
            choose.choice(producers).send(part, commit=is_committed)
            committed += part if is_committed else []
        sink.await_ids(read_ids(committed))
        wait_until(lambda: count_waiting(broker, lake) == 0)
    assert sink.error is None
    find_check(broker, lake)


def test_a_record_that_was_deleted_behind_a_marker_is_a_gap_and_is_named(access, broker, tmp_path):
    lake, (_, values) = open_lake(tmp_path), make_plays(30)
    producer = Transactions(access)
    producer.send(values[:10])  # marker 10
    wait_for_end(broker, 11)
    drain(broker, lake)
    producer.send(values[10:])  # 11 to 30, marker 31
    wait_for_end(broker, 32)
    broker.trim(PLAYS.name, {0: 20})
    with pytest.raises(OffsetGap) as caught:
        drain(broker, lake)
    assert (caught.value.expected, caught.value.first_available) == (11, 20)


def test_a_compacted_topic_is_refused(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(5)
    broker.append(PLAYS.name, keys, values)
    configure_topic(access, PLAYS.name, cleanup_policy="compact")
    with pytest.raises(TopicCompacted, match=r"cleanup\.policy=compact"):
        drain(broker, lake)
