"""What operators and old clients do to a topic under a sink: retention by age, compaction, clocks, formats before Kafka 0.11.

Public reports: openmeterio/openmeter issue 5005 (events deleted before they are read, since their own time is the record's),
apache/kafka PR 4473 (records from the future), apache/kafka PR 22849 (records stamped decades ago are deleted at once),
redpanda-data/redpanda PR 2273 (a topic that was compacted), kafka4beam/brod issue 263 (a reader stuck at a compacted offset),
netscaler/netscaler-observability-exporter issue 78 and zendesk/ruby-kafka issue 445 (old formats after an upgrade).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer
from tests.integration.kafka_cases import RunningSink, make_plays, open_kafka, open_lake, read_ids, stored_ids, wait_until
from tests.integration.kafka_producers import configure_topic
from tests.integration.old_messages import make_messages, produce
from tests.server_process import ServerProcess

from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS
from soundlake.errors import OffsetGap, TopicCompacted
from soundlake.operations.servers import KafkaServer, find_free_block
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import KafkaAccess
from soundlake.sink import Sink, SinkLimits

DAY_MS = 86_400_000
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def drain(broker, lake):
    return Sink(broker, lake, SinkLimits(), topics=[PLAYS]).run(until_drained=True, retry_seconds=20)


def check_all(broker, lake) -> dict[str, int]:
    """The parts of the check of plays; all checks hold."""
    checks = {check.name: check for check in check_log(broker, lake)}
    assert all(check.ok for check in checks.values()), checks
    return checks["user_plays: log = bronze + rejected"].parts


def now_ms() -> int:
    return int(time.time() * 1_000)


def delete_by_age(access, broker) -> None:
    """Let retention delete all records, and stop there."""
    configure_topic(access, PLAYS.name, retention_ms=1)
    wait_until(lambda: not any(map(len, broker.offsets(PLAYS.name).values())))
    configure_topic(access, PLAYS.name, retention_ms=-1)


def publish_at(access, timestamp_ms: int, values: list[bytes]) -> list[KafkaError | None]:
    """Publish to partition 0 with the producer's time; what the broker answers for each."""
    producer, answers = Producer({"bootstrap.servers": access.servers, "enable.idempotence": True}), []
    for value in values:
        producer.produce(PLAYS.name, value, partition=0, timestamp=timestamp_ms, on_delivery=lambda error, _: answers.append(error))
    assert producer.flush(30) == 0
    return answers


def test_retention_may_delete_what_was_read_under_a_live_sink_and_what_was_not_is_named(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(90, listeners=1)
    with RunningSink(access, lake) as sink:
        broker.append(PLAYS.name, keys[:40], values[:40])
        sink.await_ids(read_ids(values[:40]))
        delete_by_age(access, broker)
        broker.append(PLAYS.name, keys[40:60], values[40:60])
        sink.await_ids(read_ids(values[:60]))
    assert sink.error is None
    assert check_all(broker, lake)["bronze"] == 60
    broker.append(PLAYS.name, keys[60:], values[60:])
    delete_by_age(access, broker)
    with pytest.raises(OffsetGap) as caught:
        drain(broker, lake)
    assert (caught.value.expected, caught.value.first_available) == (60, 90)
    assert len(stored_ids(lake)) == 60


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_compaction_switched_on_stops_a_live_sink_and_nothing_is_lost(access, broker, tmp_path, policy):
    lake, (keys, values) = open_lake(tmp_path), make_plays(60, listeners=1)
    with RunningSink(access, lake) as sink:
        broker.append(PLAYS.name, keys[:40], values[:40])
        sink.await_ids(read_ids(values[:40]))
        configure_topic(access, PLAYS.name, cleanup_policy=policy)
        sink.join()
    assert isinstance(sink.error, TopicCompacted)
    assert f"user_plays has cleanup.policy={policy}" in str(sink.error)
    broker.append(PLAYS.name, keys[40:], values[40:])
    with pytest.raises(TopicCompacted):
        drain(broker, lake)
    configure_topic(access, PLAYS.name, cleanup_policy="delete")
    drain(broker, lake)
    assert sorted(stored_ids(lake)) == sorted(read_ids(values))
    check_all(broker, lake)


def test_what_compaction_deleted_before_it_was_read_is_not_stored_while_the_topic_is_compacted(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(60, listeners=1)
    broker.append(PLAYS.name, keys[:20], values[:20])
    drain(broker, lake)
    broker.append(PLAYS.name, keys[20:40], values[20:40])
    configure_topic(access, PLAYS.name, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    time.sleep(0.2)
    broker.append(PLAYS.name, keys[40:], values[40:])  # closes the segment before, which may then be compacted
    (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
    limits = {"max_records": 1_000, "max_bytes": 1 << 20}

    def is_compacted() -> bool:
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": access.servers, "group.id": "test"})
        consumer.assign([TopicPartition(PLAYS.name, partition, 0)])
        message = consumer.consume(1, 10)[0]
        consumer.close()
        return message.offset() > 0

    wait_until(is_compacted)
    with pytest.raises(TopicCompacted):
        drain(broker, lake)
    assert len(stored_ids(lake)) == 20
    configure_topic(access, PLAYS.name, cleanup_policy="delete")
    report = drain(broker, lake)
    print(report, check_all(broker, lake), limits)


def test_producers_times_do_not_matter_where_the_broker_stamps(access, broker, tmp_path):
    lake, (_, values) = open_lake(tmp_path), make_plays(20)
    configure_topic(access, PLAYS.name, retention_ms=7 * DAY_MS)
    answers = [publish_at(access, stamp, values[place : place + 10]) for place, stamp in ((0, 1), (10, now_ms() + 3_650 * DAY_MS))]
    assert answers == [[None] * 10] * 2
    time.sleep(1)  # three rounds of retention
    drain(broker, lake)
    assert sorted(stored_ids(lake)) == sorted(read_ids(values))


def test_producers_times_decide_what_retention_deletes_where_the_topic_takes_them(access, broker, tmp_path):
    lake, (_, values) = open_lake(tmp_path), make_plays(20)
    configure_topic(access, PLAYS.name, retention_ms=7 * DAY_MS, message_timestamp_type="CreateTime")
    assert {error.code() for error in publish_at(access, now_ms() + 2 * DAY_MS, values[:5])} == {KafkaError.INVALID_TIMESTAMP}
    publish_at(access, now_ms(), values[:10])
    drain(broker, lake)
    assert len(stored_ids(lake)) == 10
    publish_at(access, now_ms() - 30 * DAY_MS, values[10:])
    wait_until(lambda: broker.offsets(PLAYS.name)[0].begin == 20)
    with pytest.raises(OffsetGap) as caught:
        drain(broker, lake)
    assert (caught.value.expected, caught.value.first_available) == (10, 20)


def test_old_formats_are_refused_by_the_broker(access, broker, tmp_path):
    (keys, values) = make_plays(3)
    found = {
        (version, magic): produce(access.servers, PLAYS.name, make_messages(magic, now_ms(), keys, values), version=version)
        for version, magic in ((0, 0), (2, 1), (3, 0), (3, 1), (8, 1))
    }
    print(found)
    assert not any(map(len, broker.offsets(PLAYS.name).values()))


def test_old_segments(kafka_server, access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(30)
    broker.offsets(PLAYS.name)
    segment = kafka_server.server.folder / "data" / f"{PLAYS.name}-0" / "00000000000000000000.log"
    kafka_server.kill()
    segment.write_bytes(make_messages(0, 0, keys[:10], values[:10]) + make_messages(1, now_ms(), keys[10:], values[10:], 10))
    kafka_server.start()
    with open_kafka(access) as reopened:
        wait_until(lambda: reopened.offsets(PLAYS.name)[0].end == 30)
        reopened.append(PLAYS.name, [b"ann"] * 3, make_plays(3)[1])
        print(drain(reopened, lake))
        print(lake.read("rejected", ["reason", "detail", "_offset"]).to_pylist()[:3])
        print(check_all(reopened, lake))
    assert len(stored_ids(lake)) >= 23


class ClockedKafkaServer(KafkaServer):
    """A broker whose clock is moved by writing to `<folder>/clock` (libfaketime); its monotonic clock is left alone."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment, "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def set_clock(self, offset: str) -> None:
        """Move it, as `+3d` or `-3d`, and wait until the broker has noticed."""
        (self.folder / "clock").write_text(f"{offset}\n")
        time.sleep(1.5)


@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime: the broker's clock cannot be moved")
def test_a_broker_whose_clock_jumps(kafka_jars, tmp_path):
    properties = {"log.initial.task.delay.ms": "200", "log.retention.check.interval.ms": "300"}
    server = ClockedKafkaServer(tmp_path / "kafka", find_free_block(), kafka_jars, properties=properties)
    lake, (keys, values) = open_lake(tmp_path), make_plays(40, listeners=1)
    server.folder.mkdir()
    (server.folder / "clock").write_text("+0\n")
    with ServerProcess(server, tmp_path), open_kafka(KafkaAccess(server.address), retention_ms=7 * DAY_MS) as broker:
        broker.create_topics(TOPICS, partitions=1)
        broker.append(PLAYS.name, keys[:10], values[:10])
        server.set_clock("-3d")
        broker.append(PLAYS.name, keys[10:20], values[10:20])
        server.set_clock("+0")
        broker.append(PLAYS.name, keys[20:30], values[20:30])
        report = drain(broker, lake)
        rejected = lake.read("rejected", ["reason", "detail"]).to_pylist()
        print(report, rejected[0])
        print(check_all(broker, lake))
        server.set_clock("+10d")
        broker.append(PLAYS.name, keys[30:35], values[30:35])
        server.set_clock("+20d")
        wait_until(lambda: broker.offsets(PLAYS.name)[0].begin == 35)
        with pytest.raises(OffsetGap) as caught:
            drain(broker, lake)
        print(caught.value)
    assert datetime.now(UTC) - timedelta(days=1) < datetime.now(UTC)
