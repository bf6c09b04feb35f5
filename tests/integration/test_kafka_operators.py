"""What operators and old clients do to a topic under a sink: retention by age, compaction, times, formats before Kafka 0.11.

Public reports: openmeterio/openmeter issue 5005 (events deleted before they are read, since their own time is the record's),
apache/kafka PR 4473 (records from the future), apache/kafka PR 22849 (records stamped decades ago are deleted at once),
redpanda-data/redpanda PR 2273 (a topic that was compacted), kafka4beam/brod issue 263 (a reader stuck at a compacted offset),
netscaler/netscaler-observability-exporter issue 78 and zendesk/ruby-kafka issue 445 (old formats after an upgrade).
"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from confluent_kafka import KafkaError, Producer
from tests.integration.kafka_cases import RunningSink, make_plays, open_kafka, open_lake, read_ids, stored_ids, wait_until
from tests.integration.kafka_producers import configure_topic
from tests.integration.old_messages import make_messages, produce

from soundlake.contract.topics import PLAYS
from soundlake.errors import OffsetGap, TopicCompacted
from soundlake.reconciliation.log_vs_bronze import check_log
from soundlake.settings import Settings
from soundlake.sink import Sink, SinkLimits
from soundlake.wiring.stream import open_stream

DAY_MS = 86_400_000


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
    with open_kafka(access) as restarted:  # the policy that a client has read counts for a second
        drain(restarted, lake)
    assert sorted(stored_ids(lake)) == sorted(read_ids(values))
    check_all(broker, lake)


def test_what_compaction_deleted_is_a_loss_that_no_reader_notices_so_the_topic_is_refused(access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(60, listeners=1)
    broker.append(PLAYS.name, keys[:20], values[:20])
    drain(broker, lake)
    broker.append(PLAYS.name, keys[20:40], values[20:40])
    configure_topic(access, PLAYS.name, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    time.sleep(0.2)
    broker.append(PLAYS.name, keys[40:], values[40:])  # closes the segment before, which may then be compacted
    (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]

    def is_refused() -> bool:
        with suppress(TopicCompacted):  # at the first missing offset
            broker.fetch(PLAYS.name, partition, 0, max_records=1_000, max_bytes=1 << 20)
            return False
        return True

    wait_until(is_refused)
    with pytest.raises(TopicCompacted):
        drain(broker, lake)
    assert len(stored_ids(lake)) == 20
    configure_topic(access, PLAYS.name, cleanup_policy="delete")
    with open_kafka(access) as restarted:
        drain(restarted, lake)  # the limit in docs/delivery.md: what is gone by now looks like markers of transactions
    parts = check_all(broker, lake)
    assert parts["bronze"] == len(stored_ids(lake)) < 60
    assert parts["bronze"] + parts["offsets without a record"] == 60


def test_a_compacted_topic_is_refused_before_spark_starts(access, broker, redis_server, tmp_path):
    configure_topic(access, PLAYS.name, cleanup_policy="compact")
    settings = Settings(_env_file=None, home=tmp_path, broker=f"kafka://{access.servers}", cache=redis_server.server.url)
    with pytest.raises(TopicCompacted, match="user_plays"), open_stream(settings, ["live"]):
        pass


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
    assert {error.code() for error in publish_at(access, now_ms() + 2 * DAY_MS, values[:5])} == {KafkaError.INVALID_RECORD}
    drain(broker, lake)  # sees an empty partition
    publish_at(access, now_ms() - 30 * DAY_MS, values[:20])
    wait_until(lambda: broker.offsets(PLAYS.name)[0].begin == 20)
    with pytest.raises(OffsetGap) as caught:
        drain(broker, lake)
    assert (caught.value.expected, caught.value.first_available) == (0, 20)


def test_the_broker_refuses_new_messages_in_an_old_format(access, broker):
    keys, values = make_plays(3)
    requests = ((0, 0), (2, 1), (3, 0), (3, 1), (8, 1))
    found = [
        produce(access.servers, PLAYS.name, make_messages(magic, now_ms(), keys, values), version=version) for version, magic in requests
    ]
    assert found == [None, None, *[KafkaError.INVALID_RECORD] * 3]
    assert not any(map(len, broker.offsets(PLAYS.name).values()))


def test_old_messages_that_are_in_the_log_are_stored_or_if_they_have_no_time_rejected(kafka_server, access, broker, tmp_path):
    lake, (keys, values) = open_lake(tmp_path), make_plays(30)
    segment = kafka_server.server.folder / "data" / f"{PLAYS.name}-0" / "00000000000000000000.log"
    kafka_server.kill()
    segment.write_bytes(make_messages(0, 0, keys[:10], values[:10]) + make_messages(1, now_ms(), keys[10:], values[10:], 10))
    kafka_server.start()
    with open_kafka(access) as reopened:
        wait_until(lambda: reopened.offsets(PLAYS.name)[0].end == 30)
        reopened.append(PLAYS.name, [b"ann"] * 3, make_plays(3)[1])
        drain(reopened, lake)
        assert check_all(reopened, lake) == {"bronze": 23, "rejected": 10}
    rejected = lake.read("rejected", ["reason", "_offset"])
    assert set(rejected["reason"].to_pylist()) == {"played_at_out_of_range"}
    assert sorted(rejected["_offset"].to_pylist()) == list(range(10))  # format 0, whose messages have no time
