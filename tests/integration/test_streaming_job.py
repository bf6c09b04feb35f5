"""`soundlake stream` on real servers: whatever is killed when, each event stands once in the tables and counts once in Redis."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psutil
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.servers import run
from tests.spark import QUICK_JAVA

from soundlake import wiring
from soundlake.cache.redis import open_redis_store
from soundlake.contract import TOPICS
from soundlake.contract.topics import NOW_PLAYING, NOW_PLAYING_ENRICHED, PLAYS, SKIPS
from soundlake.operations.servers import KafkaServer, ServerProcess, find_free_block
from soundlake.settings import Settings, extend_environment
from soundlake.warehouse.extensions import provide_extensions

StartStream = Callable[..., subprocess.Popen[bytes]]
RATE = 100
STEP_SECONDS = 900.0  # a machine that runs other tests beside takes minutes to start Spark


@pytest.fixture
def kafka(kafka_jars, tmp_path) -> Iterator[ServerProcess]:
    """A broker of this test alone: a job reads all topics."""
    yield from run(KafkaServer(tmp_path / "kafka", find_free_block(), kafka_jars), tmp_path)


@pytest.fixture
def settings(kafka, redis_server, spark_jars, tmp_path) -> Settings:
    """A deployment of these servers, with its topics made and its Redis empty."""
    found = Settings(
        home=tmp_path / "home", broker=f"kafka://{kafka.server.address}", cache=redis_server.server.url, downloads=spark_jars.parent,
        topic_partitions=2,
    )  # fmt: skip
    redis.Redis.from_url(redis_server.server.url).flushdb()
    with closing(wiring.open_kafka(found)) as broker:
        broker.create_topics(TOPICS, partitions=2)
    return found


@pytest.fixture
def start_stream(settings) -> Iterator[StartStream]:
    """Starts the command as a supervisor does; what it prints goes to a file beside the home. Nothing is left running."""
    variables = {
        "SOUNDLAKE_HOME": str(settings.home), "SOUNDLAKE_BROKER": settings.broker, "SOUNDLAKE_CACHE": settings.cache.get_secret_value(),
        "SOUNDLAKE_DOWNLOADS": str(settings.downloads), "SOUNDLAKE_TOPIC_PARTITIONS": "2",
        "JAVA_TOOL_OPTIONS": QUICK_JAVA,
    }  # fmt: skip
    settings.home.mkdir()
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        with (settings.home.parent / "stream.log").open("ab") as log:
            command = [sys.executable, "-m", "soundlake.cli.app", "stream", *arguments]
            started.append(subprocess.Popen(command, env=extend_environment(variables), stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def feed(kafka) -> Iterator[Feed]:
    """A feed into this test's broker, begun and ended with the test."""
    opened = Feed(kafka.server.address)
    opened.start()
    yield opened
    opened.finish()


class Feed(threading.Thread):
    """Publishes plays and skips, some twice, and what does not decode; `ended` (when, by id) and `broken` are what was acknowledged."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 20})
        self._stopped = threading.Event()
        self.ended: dict[str, dict[str, datetime]] = {PLAYS.name: {}, SKIPS.name: {}}
        self.broken = 0

    def run(self) -> None:
        chance = random.Random(1)
        while not self._stopped.wait(0.1):
            for _ in range(RATE // 10):
                self._send_event(chance)
            self._producer.produce(PLAYS.name, b"{broken", on_delivery=self._count_broken)
            self._producer.poll(0)

    def finish(self) -> None:
        """Stop, with everything acknowledged."""
        self._stopped.set()
        self.join()
        assert self._producer.flush(60) == 0

    def count_since(self, topic: str, moment: datetime) -> int:
        """How many events of a topic ended from that moment on."""
        return sum(ended_at >= moment for ended_at in self.ended[topic].values())

    def _send_event(self, chance: random.Random) -> None:
        event_id, topic = str(uuid.UUID(int=chance.getrandbits(128))), chance.choice((PLAYS, SKIPS))
        ended_at = datetime.now(UTC)
        played_at = ended_at - timedelta(seconds=30 if topic is PLAYS else 0)
        event = {"event_id": event_id, "event_type": topic.event_types[0], "user_id": f"u{chance.randrange(40)}", "track_id": "t",
                 "played_at": f"{played_at:%Y-%m-%dT%H:%M:%S.%f}Z", "ms_played": 30_000, "country": "DE"}  # fmt: skip

        def note(error: object, _message: object) -> None:
            assert error is None
            self.ended[topic.name][event_id] = ended_at

        for _ in range(chance.choice((1, 1, 1, 2))):
            self._producer.produce(topic.name, json.dumps(event).encode(), event["user_id"].encode(), on_delivery=note)

    def _count_broken(self, error: object, _message: object) -> None:
        self.broken += error is None


def open_processed(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The processed tables as DuckDB reads them."""
    config = {"extension_directory": str(provide_extensions(settings.home / "extensions")), "autoinstall_known_extensions": "false"}
    connection = duckdb.connect(config=config)
    connection.execute("load delta")
    for name in ("plays", "skips", "quarantine"):
        connection.execute(f"create view {name} as from delta_scan('{settings.home}/lake/processed/{name}')")
    return connection


def count_processed(settings: Settings) -> int:
    with suppress(duckdb.Error), open_processed(settings) as connection:
        return int(connection.execute("select count(*) from plays").fetchone()[0])
    return 0


def wait_for_more(settings: Settings, process: subprocess.Popen[bytes], before: int) -> None:
    deadline = time.monotonic() + STEP_SECONDS
    while count_processed(settings) <= before:
        assert process.poll() is None, (settings.home.parent / "stream.log").read_text()[-4_000:]
        assert time.monotonic() < deadline, "nothing was processed"
        time.sleep(2)


def kill(process: subprocess.Popen[bytes], *, is_java: bool) -> None:
    """SIGKILL the program or its Java; each ends without the other."""
    java = next(child for child in psutil.Process(process.pid).children(recursive=True) if "java" in child.name())
    os.kill(java.pid if is_java else process.pid, signal.SIGKILL)
    assert process.wait(60) != 0
    psutil.wait_procs([java], timeout=60)
    assert not java.is_running() or java.status() == psutil.STATUS_ZOMBIE


@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_nothing_is_lost_or_doubled_however_the_job_is_killed(settings, start_stream, feed, kills):
    chance = random.Random(kills)
    for number in range(kills):
        process = start_stream("processed", "live")
        wait_for_more(settings, process, count_processed(settings))
        time.sleep(chance.uniform(0, 6))
        kill(process, is_java=number % 2 == 1)
    feed.finish()
    assert start_stream("processed", "live", "--until-drained").wait(STEP_SECONDS * 2) == 0
    with open_processed(settings) as tables:
        for topic in (PLAYS, SKIPS):
            stored = [row[0] for row in tables.execute(f"select event_id from {topic.table}").fetchall()]
            assert len(stored) == len(set(stored))
            assert set(stored) == feed.ended[topic.name].keys()
        refused = tables.execute("select count(*), count(distinct (_partition, _offset)) from quarantine where reason = 'not_json'")
        assert refused.fetchone() == (feed.broken, feed.broken)
    minutes = open_redis_store(settings.cache_address.url).read(datetime.now(UTC)).minutes
    assert sum(minute.plays for minute in minutes) == feed.count_since(PLAYS.name, minutes[0].begins_at)
    assert sum(minute.skips for minute in minutes) == feed.count_since(SKIPS.name, minutes[0].begins_at)
    assert max(minute.listeners for minute in minutes) == 40
    assert list((settings.home / "stream" / "scratch").iterdir()) == []


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


def test_who_plays_what_now_goes_on_within_moments(start_stream, kafka):
    process = start_stream("now_playing")
    producer = Producer({"bootstrap.servers": kafka.server.address})
    event = {"event_type": "now_playing", "user_id": "ana", "track_name": " Ääni ", "position_ms": 1, "duration_ms": 4}
    sent = [str(uuid.uuid4()) for _ in range(60)]
    for event_id in sent:
        told = event | {"event_id": event_id, "played_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z"}
        producer.produce(NOW_PLAYING.name, json.dumps(told).encode(), event_id.encode())
        producer.produce(NOW_PLAYING.name, b"[]")
        producer.flush()
        time.sleep(0.02)
    values = read_enriched(kafka.server.address, len(sent))
    process.send_signal(signal.SIGTERM)
    assert process.wait(STEP_SECONDS) == 0
    assert {str(value["event_id"]) for value in values} == set(sent)
    assert {(value["track_name"], value["completion"]) for value in values} == {("Ääni", 0.25)}


def test_a_second_job_of_one_home_is_refused(settings, start_stream):
    start_stream("processed")
    lock: Path = settings.home / "stream-processed.lock"
    deadline = time.monotonic() + STEP_SECONDS
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert start_stream("processed").wait(STEP_SECONDS) == 2
