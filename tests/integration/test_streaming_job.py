"""`soundlake stream` on real servers: whatever is killed when, each event is in the tables once and counts once in Redis."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.integration.streaming_cases import (
    STEP_SECONDS,
    Feed,
    StreamRunner,
    count_processed,
    kill,
    make_topics,
    open_processed,
    publish_plays,
)
from tests.server_process import ServerProcess
from tests.servers import make_kafka_server, run

from soundlake.cache.live_metrics import LiveMetrics
from soundlake.cache.redis_store import open_redis_store
from soundlake.contract.topics import NOW_PLAYING, NOW_PLAYING_ENRICHED, PLAYS, SKIPS
from soundlake.settings import Settings, extend_environment

PROGRAM = Path(__file__).parents[2] / "src" / "soundlake" / "cli" / "app.py"


class Deployment:
    """One broker, its topics, an empty Redis and the command's settings."""

    def __init__(self, folder: Path, kafka: ServerProcess, redis_server: ServerProcess, spark_jars: Path) -> None:
        self.kafka = kafka
        self.settings = Settings(
            _env_file=None, home=folder / "home", broker=f"kafka://{kafka.server.address}", cache=redis_server.server.url,
            servers={"downloads": spark_jars.parent}, topics={"partitions": 2},
        )  # fmt: skip
        redis.Redis.from_url(redis_server.server.url).flushdb()
        make_topics(self.settings)
        self.runner = StreamRunner(self.settings)


@contextmanager
def deploy(folder: Path, kafka_jars: Path, redis_server: ServerProcess, spark_jars: Path) -> Iterator[Deployment]:
    """A deployment whose job and broker end with the fixture; a job reads all topics, so it needs a broker of its own."""
    with contextmanager(run)(make_kafka_server(folder / "kafka", kafka_jars), folder) as kafka:
        deployment = Deployment(folder, kafka, redis_server, spark_jars)
        try:
            yield deployment
        finally:
            deployment.runner.end()


@pytest.fixture
def deployment(kafka_jars, redis_server, spark_jars, tmp_path) -> Iterator[Deployment]:
    """A deployment of one test."""
    with deploy(tmp_path, kafka_jars, redis_server, spark_jars) as deployed:
        yield deployed


@pytest.fixture
def settings(deployment) -> Settings:
    return deployment.settings


@pytest.fixture
def runner(deployment) -> StreamRunner:
    return deployment.runner


@pytest.fixture
def kafka(deployment) -> ServerProcess:
    return deployment.kafka


@dataclass(frozen=True)
class RunningJob:
    """A deployment in which the queries of seconds run."""

    deployment: Deployment
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def job(kafka_jars, redis_server, spark_jars, tmp_path_factory) -> Iterator[RunningJob]:
    """One job for the tests that do not kill it: Spark takes 17 s of processor time to start."""
    with deploy(tmp_path_factory.mktemp("job"), kafka_jars, redis_server, spark_jars) as deployment:
        process = deployment.runner.start("live", "now_playing")
        yield RunningJob(deployment, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STEP_SECONDS) == 0


@pytest.fixture
def feed(kafka) -> Iterator[Feed]:
    """A feed into this test's broker, begun and ended with the test."""
    opened = Feed(kafka.server.address)
    opened.start()
    yield opened
    opened.finish()


def read_live(settings: Settings) -> LiveMetrics:
    return open_redis_store(settings.cache_address.url).read(datetime.now(UTC))


def read_enriched(address: str, count: int) -> list[dict[str, object]]:
    """The first records of the enriched topic, by their values."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(NOW_PLAYING_ENRICHED.name, partition, 0) for partition in range(2)])
    values: list[dict[str, object]] = []
    deadline = time.monotonic() + STEP_SECONDS
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(json.loads(message.value()) | {"out_ms": message.timestamp()[1]})
    consumer.close()
    return values


def test_now_playing_arrives_within_seconds(job):
    address = job.deployment.kafka.server.address
    producer = Producer({"bootstrap.servers": address})
    event = {"event_type": "now_playing", "user_id": "ana", "track_name": " Ääni ", "position_ms": 1, "duration_ms": 4}
    sent = [str(uuid.uuid4()) for _ in range(60)]
    for event_id in sent:
        current = event | {"event_id": event_id, "played_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z"}
        producer.produce(NOW_PLAYING.name, json.dumps(current).encode(), event_id.encode())
        producer.produce(NOW_PLAYING.name, b"[]")
        producer.flush()
        time.sleep(0.02)
    values = read_enriched(address, len(sent))
    assert {str(value["event_id"]) for value in values} == set(sent)
    assert {(value["track_name"], value["completion"]) for value in values} == {("Ääni", 0.25)}


def test_a_second_job_of_one_home_is_refused(job):
    runner = job.deployment.runner
    runner.wait_until(job.process, (runner.settings.home / "stream-live.lock").exists, "the first job did not begin")
    assert runner.start("live").wait(STEP_SECONDS) == 2
    assert job.process.poll() is None


def test_a_late_event_corrects_its_window_and_only_that_one(job):
    settings, runner, address = job.deployment.settings, job.deployment.runner, job.deployment.kafka.server.address
    now = datetime.now(UTC)
    past = now.replace(second=20, microsecond=0) - timedelta(minutes=4)

    def count_plays() -> dict[datetime, int]:
        return {minute.begins_at: minute.plays for minute in read_live(settings).minutes if minute.plays}

    on_time = publish_plays(address, past, 10)
    runner.wait_until(job.process, lambda: sum(count_plays().values()) == 10, "nothing was counted")
    publish_plays(address, past, 10, on_time)  # a repeat changes nothing
    publish_plays(address, now - timedelta(hours=2), 10)  # beyond the horizon
    late = publish_plays(address, past + timedelta(seconds=30), 3)
    fresh = publish_plays(address, datetime.now(UTC), 2)
    runner.wait_until(job.process, lambda: sum(count_plays().values()) == 15, f"{count_plays()}")
    window = next(minute for minute in read_live(settings).minutes if minute.begins_at == past.replace(second=0))
    assert (window.plays, window.listeners) == (len(on_time) + len(late), 13)
    assert {begin: plays for begin, plays in count_plays().items() if begin != window.begins_at}.popitem()[1] == len(fresh)


@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_nothing_is_lost_or_doubled_however_the_job_is_killed(settings, runner, feed, kills):
    chance = random.Random(kills)
    for number in range(kills):
        process = runner.start("processed", "live")
        runner.wait_for_more(process, count_processed(settings))
        time.sleep(chance.uniform(0, 6))
        kill(process, is_java=number % 2 == 1)
    feed.finish()
    assert runner.start("processed", "live", "--until-drained").wait(STEP_SECONDS * 2) == 0
    with open_processed(settings) as tables:
        for topic in (PLAYS, SKIPS):
            stored = [row[0] for row in tables.execute(f"select event_id from {topic.table}").fetchall()]
            assert len(stored) == len(set(stored))
            assert set(stored) == feed.ended[topic.name].keys()
        refused = tables.execute("select count(*), count(distinct (_partition, _offset)) from quarantine where reason = 'not_json'")
        assert refused.fetchone() == (feed.broken, feed.broken)
    minutes = read_live(settings).minutes
    assert sum(minute.plays for minute in minutes) == feed.count_since(PLAYS.name, minutes[0].begins_at)
    assert sum(minute.skips for minute in minutes) == feed.count_since(SKIPS.name, minutes[0].begins_at)
    assert max(minute.listeners for minute in minutes) == 40
    assert list((settings.home / "stream" / "scratch").iterdir()) == []


def test_spark_submit_starts_the_job_as_documented(settings, runner, kafka):
    sent = publish_plays(kafka.server.address, datetime.now(UTC), 20)
    submit = [
        str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", "--driver-memory", "1g",
        "--conf", "spark.sql.shuffle.partitions=2", "--driver-class-path", f"{settings.servers.downloads}/spark/*",
        str(PROGRAM), "stream", "processed", "--until-drained",
    ]  # fmt: skip
    environment = extend_environment({**runner.environment, "PYSPARK_PYTHON": sys.executable, "SOUNDLAKE_STREAM_MASTER": "submitted"})
    with runner.log.open("ab") as log:
        done = subprocess.run(submit, env=environment, stdout=log, stderr=log, timeout=STEP_SECONDS, check=False)
    assert done.returncode == 0, runner.log.read_text()[-3_000:]
    assert count_processed(settings) == len(sent)
