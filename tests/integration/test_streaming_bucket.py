"""The streaming job on a lake in a real S3 store, its checkpoints there too: what DuckDB and delta-rs read of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import psutil
import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable
from tests.command_lines import read_command_lines
from tests.integration.streaming_cases import STEP_SECONDS, StreamRunner, kill, make_topics, open_processed
from tests.server_process import ServerProcess
from tests.servers import make_kafka_server, run

from soundlake.contract.topics import PLAYS, SKIPS
from soundlake.settings import Settings

EVENTS = 1_000


@pytest.fixture
def kafka(kafka_jars, tmp_path) -> Iterator[ServerProcess]:
    """A broker of this test alone: a job reads all topics."""
    yield from run(make_kafka_server(tmp_path / "kafka", kafka_jars), tmp_path)


@pytest.fixture(params=["checkpoints in the bucket", "checkpoints in the home"])
def settings(request, kafka, object_store, spark_jars, tmp_path) -> Settings:
    """A deployment whose lake is a bucket."""
    place = f"spotify-data-lake/{uuid.uuid4()}"
    found = Settings(
        _env_file=None, home=tmp_path / "home", broker=f"kafka://{kafka.server.address}",
        servers={"downloads": spark_jars.parent}, topics={"partitions": 2},
        lake=f"s3://{place}", s3=object_store.server.storage_options,
        stream={"checkpoints": f"s3a://{place}-checkpoints" if "bucket" in request.param else ""},
    )  # fmt: skip
    make_topics(found)
    return found


@pytest.fixture
def runner(settings) -> Iterator[StreamRunner]:
    """The command on this deployment; nothing is left running."""
    opened = StreamRunner(settings)
    yield opened
    opened.end()


def publish(address: str) -> dict[str, set[str]]:
    """EVENTS plays and as many skips, each twice, and what does not decode; the ids by table."""
    producer = Producer({"bootstrap.servers": address})
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sent: dict[str, set[str]] = {PLAYS.table: set(), SKIPS.table: set()}
    for topic in (PLAYS, SKIPS):
        for number in range(EVENTS):
            event_id = str(uuid.uuid4())
            event = {
                "event_id": event_id,
                "event_type": topic.event_types[0],
                "user_id": f"u{number}",
                "track_id": "t",
                "played_at": moment,
            }
            for _ in range(2):
                producer.produce(topic.name, json.dumps(event).encode(), event_id.encode())
            sent[topic.table].add(event_id)
    producer.produce(PLAYS.name, b"{broken")
    assert producer.flush(60) == 0
    return sent


@pytest.mark.timeout(3_600)
def test_the_tables_in_a_bucket_hold_each_event_once_though_the_job_was_killed(settings, runner, kafka):
    sent = [publish(kafka.server.address)]
    for number in range(2):
        process = runner.start("processed")
        runner.wait_for_more(process, number * EVENTS)
        text = read_command_lines([psutil.Process(process.pid)])
        assert any("org.apache.spark" in line for line in text)
        assert [line for line in text if any(secret in line for secret in settings.secrets if secret)] == []
        sent.append(publish(kafka.server.address))
        kill(process, is_java=number == 1)
    assert runner.start("processed", "--until-drained").wait(STEP_SECONDS) == 0, runner.log.read_text()[-3_000:]
    open_table = partial(DeltaTable, storage_options=settings.storage_options)
    with open_processed(settings) as tables:
        for name in (PLAYS.table, SKIPS.table):
            expected = sorted(set().union(*(part[name] for part in sent)))
            table = open_table(f"{settings.lake}/processed/{name}")
            assert [row[0] for row in tables.execute(f"select event_id from {name} order by event_id").fetchall()] == expected
            assert sorted(table.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist()) == expected
        assert tables.execute("select count(*) from quarantine where reason = 'not_json'").fetchone() == (len(sent),)
