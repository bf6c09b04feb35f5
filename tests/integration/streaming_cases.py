"""`soundlake stream` for tests: the command as a supervisor starts it, events on their way, the processed tables as DuckDB reads them."""

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
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import duckdb
import psutil
from confluent_kafka import Producer
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from tests.spark import make_java_options

from soundlake import wiring
from soundlake.contract import TOPICS
from soundlake.contract.topics import PLAYS, SKIPS
from soundlake.settings import Settings, extend_environment
from soundlake.warehouse.extensions import provide_extensions

RATE = 100
STEP_SECONDS = 900.0  # a machine that runs other tests beside takes minutes to start Spark
PARTITIONS = 2


def make_topics(settings: Settings) -> None:
    """The topics of the contract, PARTITIONS each."""
    with closing(wiring.open_kafka(settings)) as broker:
        broker.create_topics(TOPICS, partitions=PARTITIONS)


class StreamRunner:
    """Starts the command with these settings; what it prints goes to `log`, a file beside the home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.home.parent / "stream.log"
        self._started: list[subprocess.Popen[bytes]] = []
        settings.home.mkdir(exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this deployment; secrets are among them."""
        settings = self.settings
        return {
            "SOUNDLAKE_HOME": str(settings.home), "SOUNDLAKE_BROKER": settings.broker, "SOUNDLAKE_CACHE": settings.cache.get_secret_value(),
            "SOUNDLAKE_LAKE": settings.lake, "SOUNDLAKE_STREAM_CHECKPOINTS": settings.stream.checkpoints,
            "SOUNDLAKE_DOWNLOADS": str(settings.servers.downloads), "SOUNDLAKE_TOPIC_PARTITIONS": str(PARTITIONS),
            "JAVA_TOOL_OPTIONS": make_java_options(settings.servers.downloads / "spark"), **settings.storage_options,
            "SOUNDLAKE_KAFKA_SECURITY_PROTOCOL": settings.kafka.security_protocol, "SOUNDLAKE_KAFKA_USERNAME": settings.kafka.username,
            "SOUNDLAKE_KAFKA_PASSWORD": settings.kafka.password.get_secret_value(),
        }  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`soundlake stream` with these arguments."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "soundlake.cli.app", "stream", *arguments]
            self._started.append(subprocess.Popen(command, env=extend_environment(self.environment), stdout=log, stderr=log))
        return self._started[-1]

    def wait_until(self, process: subprocess.Popen[bytes], condition: Callable[[], bool], missing: str) -> None:
        """Wait for it; fails if the process ends or the time is over."""
        deadline = time.monotonic() + STEP_SECONDS
        while not condition():
            assert process.poll() is None, self.log.read_text()[-4_000:]
            assert time.monotonic() < deadline, missing
            time.sleep(1)

    def wait_for_more(self, process: subprocess.Popen[bytes], before: int) -> None:
        """Until the processed table of plays holds more than that."""
        self.wait_until(process, lambda: count_processed(self.settings) > before, "nothing was processed")

    def end(self) -> None:
        """Nothing is left running."""
        for process in self._started:
            process.kill()
            process.wait()


class Feed(threading.Thread):
    """Publishes plays and skips, some twice, and what does not decode; `ended` (when, by id) and `broken` are what was acknowledged."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 20})
        self._stopped = threading.Event()
        self.ended: dict[str, dict[str, datetime]] = {PLAYS.name: {}, SKIPS.name: {}}
        self.broken = 0

    def run(self) -> None:
        """Ten times a second a tenth of RATE."""
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


def publish_plays(address: str, ended_at: datetime, count: int, event_ids: list[str] | None = None) -> list[str]:
    """Plays of half a minute that ended then, of a listener each; their ids."""
    producer = Producer({"bootstrap.servers": address})
    sent = event_ids or [str(uuid.uuid4()) for _ in range(count)]
    for event_id in sent:
        event = {"event_id": event_id, "event_type": "play", "user_id": event_id, "track_id": "t", "ms_played": 30_000,
                 "played_at": f"{ended_at - timedelta(seconds=30):%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
        producer.produce(PLAYS.name, json.dumps(event).encode(), event_id.encode())
    assert producer.flush(60) == 0
    return sent


@contextmanager
def open_processed(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The processed tables as DuckDB reads them, in a folder or in a bucket."""
    config = {"extension_directory": str(provide_extensions(settings.home / "extensions")), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=config) as connection:
        connection.execute("load delta; set TimeZone = 'UTC'")
        if settings.storage_options:
            connection.execute(f"load httpfs; {write_secret(settings.storage_options)}")
        lake = settings.lake_address.url.removeprefix("file://").rstrip("/")
        for name in ("plays", "skips", "quarantine"):
            connection.execute(f"create view {name} as from delta_scan('{lake}/processed/{name}')")
        yield connection


def write_secret(options: dict[str, str]) -> str:
    """DuckDB's words for the store that delta-rs reaches by these options."""
    return (
        f"create secret (type s3, key_id '{options['AWS_ACCESS_KEY_ID']}', secret '{options['AWS_SECRET_ACCESS_KEY']}', "
        f"region '{options['AWS_REGION']}', endpoint '{options['AWS_ENDPOINT_URL'].split('//')[1]}', url_style 'path', use_ssl false)"
    )


def count_processed(settings: Settings) -> int:
    """How many plays are in their table; 0 while there is no table."""
    with suppress(TableNotFoundError):
        table = DeltaTable(f"{settings.lake_address.url.rstrip('/')}/processed/plays", storage_options=settings.storage_options)
        return table.to_pyarrow_table(columns=["event_id"]).num_rows
    return 0


def kill(process: subprocess.Popen[bytes], *, is_java: bool) -> None:
    """SIGKILL the program or its Java; each ends without the other."""
    java = next(child for child in psutil.Process(process.pid).children(recursive=True) if "java" in child.name())
    os.kill(java.pid if is_java else process.pid, signal.SIGKILL)
    assert process.wait(60) != 0
    psutil.wait_procs([java], timeout=60)
    assert not java.is_running() or java.status() == psutil.STATUS_ZOMBIE
