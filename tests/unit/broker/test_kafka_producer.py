"""The producer knows the outcome of each record; on librdkafka's mock cluster, and with a scripted client where something fails."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tests.unit.broker.kafka_fakes import PARTITIONS, make_message

from soundlake.broker.kafka.connection import Connection
from soundlake.broker.kafka.producer import SETTINGS, RecordProducer, _Append
from soundlake.broker.partitioner import assign_partitions
from soundlake.broker.validation import MAX_RECORD_BYTES, TOO_LARGE
from soundlake.settings import KafkaAccess


def read_partitions(access, topic):
    """Key and value of every record, by partition."""
    consumer = Consumer({"bootstrap.servers": access.servers, "group.id": "test", "fetch.wait.max.ms": 10})
    found = {}
    for number in range(PARTITIONS):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
        consumer.assign([TopicPartition(topic, number, 0)])
        messages = consumer.consume(end, 10) if end else []
        found[number] = [(message.key(), message.value()) for message in messages]
    consumer.close()
    return found


def test_records_are_acknowledged_and_stored_in_the_partition_of_their_key(mock_cluster):
    producer = RecordProducer(Connection(mock_cluster.access), 10)
    keys = [b"user-%d" % number for number in range(40)]
    delivery = producer.append("producer-keys", keys, [None, *keys[1:]])
    assert (delivery.acknowledged, delivery.failed, delivery.unsure) == (40, {}, {})
    found = read_partitions(mock_cluster.access, "producer-keys")
    expected = assign_partitions(pa.array(keys, pa.binary()), PARTITIONS, without_key=0).tolist()
    assert {key: number for number, records in found.items() for key, _ in records} == dict(zip(keys, expected, strict=True))
    assert sorted(value for records in found.values() for _, value in records if value) == sorted(keys[1:])
    producer.close()


def test_a_record_over_the_limit_fails_and_those_beside_it_are_stored(mock_cluster):
    producer = RecordProducer(Connection(mock_cluster.access), 10)
    delivery = producer.append("producer-large", [b"ann"] * 3, [b"1", b"x" * MAX_RECORD_BYTES, b"3"])
    assert (delivery.acknowledged, delivery.failed, delivery.unsure) == (2, {1: TOO_LARGE}, {})
    assert sorted(value for records in read_partitions(mock_cluster.access, "producer-large").values() for _, value in records) == [
        b"1",
        b"3",
    ]


def test_without_a_broker_records_are_unsure_after_the_time_and_the_next_append_has_a_new_client():
    producer = RecordProducer(Connection(KafkaAccess("127.0.0.1:1")), 0.3)
    begun = time.monotonic()
    delivery = producer.append("user_plays", [b"ann"] * 2, [b"1", b"2"])
    assert 0.3 <= time.monotonic() - begun < 5
    assert (delivery.acknowledged, delivery.failed, sorted(delivery.unsure)) == (0, {}, [0, 1])
    assert producer._client is None


def test_the_client_is_kept_until_a_fatal_error(mock_cluster):
    producer = RecordProducer(Connection(mock_cluster.access), 10)
    client = producer._open()
    assert producer._open() is client
    producer._listener(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "", True))
    renewed = producer._open()
    assert renewed is not client
    assert producer._open() is renewed


class ScriptedClient:
    """Refuses records as scripted, and reports the given errors by value when it is flushed."""

    def __init__(self, refusals=(), reports=None, stays_full=False) -> None:
        self.refusals, self.reports = list(refusals), reports or {}
        self.waiting, self.polls, self.purges, self.flushes = [], 0, 0, 0
        self.stays_full = stays_full

    def produce(self, topic, value, key, _partition, report) -> None:
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        self.waiting.append((key, value, report))

    def poll(self, _timeout) -> None:
        self.polls += 1

    def flush(self, _timeout) -> int:
        self.flushes += 1
        if self.stays_full and not self.purges:
            return len(self.waiting)
        for key, value, report in self.waiting:
            if (code := self.reports.get(value)) is not None:
                assert key == b"ann", "the key of `make_message`"
                report(KafkaError(code), make_message(0, 0, value))
        self.waiting = []
        return 0

    def purge(self) -> None:
        self.purges += 1
        self.reports |= {value: KafkaError._PURGE_QUEUE for _, value, _ in self.waiting}


def run_append(client, values, deadline_seconds=5.0):
    return _Append(client, "user_plays", [b"ann"] * len(values), values, time.monotonic() + deadline_seconds).run()


def test_refused_records_have_failed_and_others_with_an_error_are_unsure():
    reports = {b"2": KafkaError.INVALID_RECORD, b"3": KafkaError._MSG_TIMED_OUT, b"4": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    delivery = run_append(ScriptedClient(reports=reports), [b"1", b"2", b"3", b"4"])
    assert (delivery.acknowledged, sorted(delivery.failed), sorted(delivery.unsure)) == (1, [1, 3], [2])
    assert "Broker failed to validate record" in delivery.failed[1]
    assert "timed out" in delivery.unsure[2]


def test_each_report_is_about_one_of_several_equal_records():
    delivery = run_append(ScriptedClient(reports={b"2": KafkaError._MSG_TIMED_OUT}), [b"2", b"1", b"2", None])
    assert sorted(delivery.unsure) == [0, 2]
    assert delivery.acknowledged == 2


def test_a_full_queue_is_waited_for():
    client = ScriptedClient(refusals=[None, BufferError(), BufferError()])
    delivery = run_append(client, [b"1", b"2", b"3"])
    assert (delivery.acknowledged, client.polls) == (3, 2)


def test_a_queue_that_stays_full_fails_the_record_at_the_deadline():
    delivery = run_append(ScriptedClient(refusals=[None, BufferError()]), [b"1", b"2", b"3"], deadline_seconds=-1)
    assert (delivery.acknowledged, delivery.failed) == (2, {1: "not sent: the producer's queue stayed full"})


@pytest.mark.parametrize(
    ("code", "reason"),
    [(KafkaError.MSG_SIZE_TOO_LARGE, TOO_LARGE), (KafkaError._STATE, "not sent: Local: Erroneous state")],
    ids=["too large", "other"],
)
def test_a_record_that_cannot_be_queued_fails_with_the_reason(code, reason):
    delivery = run_append(ScriptedClient(refusals=[KafkaException(KafkaError(code))]), [b"1", b"1"])
    assert (delivery.failed, delivery.unsure, delivery.acknowledged) == ({0: reason}, {}, 1)


def test_a_record_that_was_not_queued_is_not_matched_with_a_report_of_an_equal_one():
    client = ScriptedClient(refusals=[None, KafkaException(KafkaError(KafkaError._STATE))], reports={b"1": KafkaError._MSG_TIMED_OUT})
    delivery = run_append(client, [b"1", b"1"])
    assert (list(delivery.failed), list(delivery.unsure)) == ([1], [0])


def test_records_still_queued_at_the_deadline_are_purged_and_unsure():
    client = ScriptedClient(stays_full=True)
    delivery = run_append(client, [b"1", b"2"], deadline_seconds=0.05)
    assert (sorted(delivery.unsure), client.purges) == ([0, 1], 1)


def test_the_producer_is_idempotent_and_waits_for_all_replicas():
    wanted = {
        "acks": "all", "enable_idempotence": True, "delivery_report_only_error": True, "message_max_bytes": MAX_RECORD_BYTES,
        "partitioner": "murmur2_random",
    }  # fmt: skip
    assert {name: SETTINGS[name] for name in wanted} == wanted
