"""Spark on topics that others fill and change: transactions, retention, compaction, more partitions.

Public reports of these kinds: apache/spark PR 21917 (offsets without a record), apache/hudi issue 8258 (a Kafka Streams topic that could
not be read), mozilla/telemetry-streaming issue 25 (retention), apache/spark PR 15102 (partitions that do not begin at 0).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import redis
from deltalake import DeltaTable
from tests.integration.kafka_cases import read_ids, wait_until
from tests.integration.kafka_producers import Transactions, add_partitions, configure_topic
from tests.integration.streaming_frames import make_value

from soundlake.cache.redis_store import open_redis_store
from soundlake.contract.topics import PLAYS
from soundlake.errors import DataError, TopicCompacted
from soundlake.settings import Settings
from soundlake.streaming.deployment import StreamLimits, StreamLocations, make_kafka_options
from soundlake.wiring.stream import open_stream


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
    """Runs queries until all is processed that the log held at the start."""
    from soundlake.streaming.job import StreamJob

    def run(*names: str):
        return StreamJob(spark, locations, StreamLimits(), open_live).run(names, stop=threading.Event(), until_drained=True)

    return run


def make_recent_plays(count: int) -> list[bytes]:
    """Good plays that ended a minute ago, so that the live metrics count them."""
    played_at = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
    return [make_value(played_at=played_at) for _ in range(count)]


def count_live(open_live) -> int:
    return sum(minute.started for minute in open_live().read(datetime.now(UTC)).minutes)


def test_aborted_records_appear_nowhere_and_an_open_transaction_is_read_when_it_commits(access, broker, run_job, open_live, tmp_path):
    values, first, second = make_recent_plays(40), Transactions(access), Transactions(access)
    first.send(values[:10])  # 0 to 9, marker 10
    first.send(values[10:20], commit=False)  # 11 to 20, marker 21
    wait_until(lambda: broker.offsets(PLAYS.name)[0].end == 22)
    first.begin(values[20:25])
    second.send(values[25:])  # committed, and behind the open one
    wait_until(lambda: broker.count_held_back(PLAYS.name) == {0: 21})
    run_job("processed", "live")

    def read_processed():
        return DeltaTable(str(tmp_path / "processed" / "plays")).to_pyarrow_table()["event_id"].to_pylist()

    assert sorted(read_processed()) == sorted(read_ids(values[:10]))
    assert count_live(open_live) == 10
    first.end()
    wait_until(lambda: broker.count_held_back(PLAYS.name) == {})
    run_job("processed", "live")
    assert sorted(read_processed()) == sorted(read_ids(values[:10] + values[20:]))
    assert count_live(open_live) == 30


def test_retention_may_delete_what_spark_has_read_and_stops_it_if_it_deletes_more(access, broker, run_job, open_live):
    keys, values = [b"ana"] * 60, make_recent_plays(60)
    broker.append(PLAYS.name, keys[:20], values[:20])
    run_job("live")
    (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
    broker.trim(PLAYS.name, {partition: 20})
    run_job("live")
    broker.append(PLAYS.name, keys[20:40], values[20:40])
    run_job("live")
    assert count_live(open_live) == 40
    broker.append(PLAYS.name, keys[40:], values[40:])
    broker.trim(PLAYS.name, {partition: 50})
    with pytest.raises(DataError, match="the query live stopped: the log no longer holds the next offset"):
        run_job("live")


def test_added_partitions_are_read_from_their_start_and_stop_spark_if_that_is_gone(access, broker, run_job, open_live):
    keys, values = [b"ana"] * 60, make_recent_plays(60)
    broker.append(PLAYS.name, keys[:20], values[:20])
    run_job("live")
    add_partitions(access, PLAYS.name, 5)
    Transactions(access, 4).send(values[20:])
    run_job("live")
    assert count_live(open_live) == 60
    add_partitions(access, PLAYS.name, 6)
    Transactions(access, 5).send(values[20:])
    broker.trim(PLAYS.name, {5: 3})
    with pytest.raises(DataError, match="the query live stopped: the log no longer holds the next offset"):
        run_job("live")


def test_a_compacted_topic_is_refused_before_spark_starts(access, broker, redis_server, tmp_path):
    configure_topic(access, PLAYS.name, cleanup_policy="compact")
    settings = Settings(_env_file=None, home=tmp_path, broker=f"kafka://{access.servers}", cache=redis_server.server.url)
    with pytest.raises(TopicCompacted, match="user_plays"), open_stream(settings, ["live"]):
        pass
