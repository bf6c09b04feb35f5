"""Partitions that are added, and topics created again with another number of them, under a live sink on a real broker."""

from __future__ import annotations

import itertools

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tests.integration.kafka_cases import RunningSink, delete_topics, make_plays, open_kafka, open_lake, read_ids, wait_until
from tests.integration.kafka_producers import add_partitions

from soundlake.broker.kafka import TopicPlan
from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.reconciliation.log_vs_bronze import check_log, count_waiting
from soundlake.settings import KafkaAccess

NUMBERS = itertools.count()


@pytest.fixture
def access(kafka_server):
    access = KafkaAccess(kafka_server.server.address)
    delete_topics(access)
    return access


@pytest.fixture
def broker(access):
    with open_kafka(access, answer_seconds=5.0) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=2)
        yield broker


def publish(access: KafkaAccess, values: list[bytes], partitions: int) -> None:
    """Records in turn to each partition, by a client that has just connected."""
    producer = Producer({"bootstrap.servers": access.servers, "acks": "all"})
    for number, value in enumerate(values):
        producer.produce(PLAYS.name, value, partition=number % partitions)
    assert producer.flush(30) == 0


@pytest.mark.parametrize("members", [("",), ("a", "b")], ids=["alone", "a group of two"])
def test_added_partitions_are_read_from_their_start_without_a_restart(access, broker, tmp_path, members):
    lake, (_, values), group = open_lake(tmp_path), make_plays(900), f"partitions-{next(NUMBERS)}"
    sinks = [RunningSink(access, lake, member=member, group=group, retry_seconds=30) for member in members]
    for sink in sinks:
        sink.__enter__()
    try:
        publish(access, values[:300], 2)
        sinks[0].await_ids(read_ids(values[:300]))
        add_partitions(access, PLAYS.name, 6)
        publish(access, values[300:600], 6)
        sinks[0].await_ids(read_ids(values[:600]))
        publish(access, values[600:], 6)
        sinks[0].await_ids(read_ids(values))
    finally:
        for sink in sinks:
            sink.__exit__()
    assert [sink.error for sink in sinks] == [None] * len(sinks)
    assert all(check.ok for check in check_log(broker, lake))
    assert (count_waiting(broker, lake), len(broker.offsets(PLAYS.name))) == (0, 6)


@pytest.mark.parametrize("count", [1, 5], ids=["fewer", "more"])
def test_a_topic_created_again_with_another_number_of_partitions_is_read_from_its_start(access, broker, tmp_path, count):
    lake, (_, values) = open_lake(tmp_path), make_plays(200)
    admin = AdminClient({"bootstrap.servers": access.servers})
    with RunningSink(access, lake, retry_seconds=30) as sink:
        publish(access, values[:100], 2)
        sink.await_ids(read_ids(values[:100]))
        admin.delete_topics([PLAYS.name])[PLAYS.name].result(30)
        admin.create_topics([NewTopic(PLAYS.name, count, config=TopicPlan(count).configs)])[PLAYS.name].result(30)
        publish(access, values[100:], count)
        sink.await_ids(read_ids(values))
    assert sink.error is None
    wait_until(lambda: len(broker.offsets(PLAYS.name)) == count)
    assert all(check.ok for check in check_log(broker, lake))
    assert count_waiting(broker, lake) == 0
