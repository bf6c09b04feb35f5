"""Spark on topics that others fill and change: transactions, other clients, old messages, retention, more partitions.

Public reports of these kinds: apache/spark PR 21917 (offsets without a record), apache/hudi issue 8258 (a Kafka Streams topic that could
not be read), mozilla/telemetry-streaming issue 25 (retention), apache/spark PR 15102 (partitions that do not begin at 0).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
import redis
from deltalake import DeltaTable
from tests.integration.foreign_clients import make_groups
from tests.integration.kafka_cases import make_plays, open_kafka, read_ids, wait_until
from tests.integration.kafka_producers import Transactions, add_partitions
from tests.integration.old_messages import make_messages

from soundlake.cache.redis_store import open_redis_store
from soundlake.contract.topics import PLAYS
from soundlake.errors import DataError
from soundlake.streaming.deployment import StreamLimits, StreamLocations, make_kafka_options


@pytest.fixture
def locations(access, tmp_path) -> StreamLocations:
    """The shared broker, and folders of this test."""
    options = {**make_kafka_options(access), "kafka.metadata.max.age.ms": "1000"}
    return StreamLocations(options, f"file://{tmp_path}/processed", f"file://{tmp_path}/silver", f"file://{tmp_path}/checkpoints")


@pytest.fixture
def open_live(redis_server) -> Callable:
    """Opens an empty live store."""
    redis.Redis.from_url(redis_server.server.url).flushdb()
    return partial(open_redis_store, redis_server.server.url)


@pytest.fixture
def run_job(spark, locations, open_live) -> Callable:
    """Runs a query until all is processed that the log held at the start."""
    from soundlake.streaming.job import StreamJob

    def run(name: str):
        return StreamJob(spark, locations, StreamLimits(), open_live).run([name], stop=threading.Event(), until_drained=True)

    return run


@pytest.fixture
def clients(request) -> list:
    """The Java client, and franz-go where there is Go."""
    return [request.getfixturevalue(name) for name in ("java_client", *(["go_client"] if shutil.which("go") else []))]


def count_live(open_live) -> int:
    return sum(minute.started for minute in open_live().read(datetime.now(UTC)).minutes)


@pytest.fixture
def old_values(kafka_server, broker) -> list[bytes]:
    """Plays in partition 2 as brokers before Kafka 0.10 (ten, without a time) and before 0.11 (ten) stored them."""
    keys, values = make_plays(20)
    kafka_server.kill()
    messages = make_messages(0, 0, keys[:10], values[:10]) + make_messages(1, int(time.time() * 1_000), keys[10:], values[10:], 10)
    (kafka_server.server.folder / "data" / f"{PLAYS.name}-2" / "00000000000000000000.log").write_bytes(messages)
    kafka_server.start()
    return values


def test_each_committed_record_is_processed_once_and_an_aborted_or_open_one_not(access, old_values, clients, run_job, tmp_path):
    values = make_plays(40)[1]
    groups = []
    with open_kafka(access) as reopened:
        wait_until(lambda: reopened.offsets(PLAYS.name)[2].end == 20)
        for client in clients:
            groups += (sent := make_groups(f"Spark, {type(client).__name__}"))
            client.publish(access.servers, PLAYS.name, sent)
        first, second = Transactions(access), Transactions(access)
        first.send(values[:10])
        first.send(values[10:20], commit=False)
        first.begin(values[20:25])
        second.send(values[25:])  # committed, and behind the open one
        wait_until(lambda: reopened.count_held_back(PLAYS.name) == {0: 21})
        run_job("processed")
        visible = [sent for group in groups if group.mode != "abort" for sent in group.records]
        wanted = read_ids([sent.value for sent in visible if sent.value is not None] + old_values[10:] + values[:10])

        def read(table: str, column: str) -> list:
            return DeltaTable(str(tmp_path / "processed" / table)).to_pyarrow_table()[column].to_pylist()

        assert sorted(read("plays", "event_id")) == sorted(wanted)
        refused = ["null_value"] * sum(sent.value is None for sent in visible) + ["played_at_out_of_range"] * 10  # the oldest have no time
        assert sorted(read("quarantine", "reason")) == sorted(refused)
        first.end()
        wait_until(lambda: reopened.count_held_back(PLAYS.name) == {})
        run_job("processed")
        assert sorted(read("plays", "event_id")) == sorted(wanted + read_ids(values[20:]))
        assert sorted(read("quarantine", "reason")) == sorted(refused)


def test_retention_and_new_partitions_stop_spark_only_if_something_unread_is_gone(access, broker, run_job, open_live):
    keys, values = [b"ana"] * 60, make_plays(60)[1]
    broker.append(PLAYS.name, keys[:20], values[:20])
    run_job("live")
    (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
    broker.trim(PLAYS.name, {partition: 20})  # all of it was read
    add_partitions(access, PLAYS.name, 4)
    added = Transactions(access, 3)
    added.send(values[20:40])
    added.send(make_plays(20)[1], commit=False)
    wait_until(lambda: (held := broker.offsets(PLAYS.name).get(3)) and held.end == 42)
    run_job("live")
    assert count_live(open_live) == 40
    broker.append(PLAYS.name, keys[40:], values[40:])
    broker.trim(PLAYS.name, {partition: 30})
    with pytest.raises(DataError, match=f"the query live stopped: the log no longer holds the next offset.*{PLAYS.name}-{partition}"):
        run_job("live")


def test_a_new_partition_whose_start_is_gone_stops_spark(access, broker, run_job):
    broker.append(PLAYS.name, [b"ana"], make_plays(1)[1])
    run_job("live")
    add_partitions(access, PLAYS.name, 4)
    Transactions(access, 3).send(make_plays(10)[1])
    wait_until(lambda: 3 in broker.offsets(PLAYS.name))
    broker.trim(PLAYS.name, {3: 3})
    with pytest.raises(DataError, match=f"Added partition {PLAYS.name}-3 starts from 3 instead of 0"):
        run_job("live")
