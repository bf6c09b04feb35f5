"""Real servers for tests, one of each kind per test process, on free ports; a test that stops or kills one starts it again.

Tests whose server program is missing are skipped with the reason; `make test` names it before they begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from tests.java_start import archive_classes, list_java_options
from tests.server_process import ServerProcess

from soundlake.errors import Unavailable
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, ObjectStore, RedisServer, Server, find_free_block, install_jars
from soundlake.settings import load_settings

__all__ = [
    "KAFKA_PASSWORD", "KAFKA_USER", "QUICK_RETENTION", "kafka_jars", "kafka_server", "make_kafka_server", "object_store",
    "redis_server",
]  # fmt: skip

KAFKA_USER = "soundlake"
KAFKA_PASSWORD = "correct-horse"
QUICK_RETENTION = {"log.initial.task.delay.ms": "200", "log.retention.check.interval.ms": "300", "log.cleaner.backoff.ms": "300"}
"""Properties of a broker: retention and compaction act within a second, for topics that ask for them, and not only after minutes."""


class PasswordKafkaServer(KafkaServer):
    """A broker with a second listener for clients with a password (SASL_PLAINTEXT, PLAIN); use `make_password_server`."""

    @property
    def ports(self) -> dict[str, int]:
        return {**super().ports, "clients with a password": self.port + 2}

    @property
    def sasl_address(self) -> str:
        """The bootstrap server of clients with a password, as host:port."""
        return f"127.0.0.1:{self.port + 2}"


def make_password_server(folder: Path, jars: Path) -> PasswordKafkaServer:
    """A broker on free ports whose second listener accepts KAFKA_USER with KAFKA_PASSWORD."""
    port = find_free_block()
    listeners = f"BROKER://127.0.0.1:{port},PASSWORD://127.0.0.1:{port + 2}"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,PASSWORD:SASL_PLAINTEXT",
        "listener.name.password.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.password.plain.sasl.jaas.config": f'{login} user_{KAFKA_USER}="{KAFKA_PASSWORD}";',
        **QUICK_RETENTION,
    }
    return PasswordKafkaServer(folder, port, jars, properties=properties, java_options=list_java_options(jars))


def make_kafka_server(folder: Path, jars: Path) -> KafkaServer:
    """A broker on free ports for one test."""
    return KafkaServer(folder, find_free_block(), jars, java_options=list_java_options(jars))


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The folder of Kafka's jars, fetched the first time."""
    try:
        jars = install_jars(KAFKA_JARS, load_settings().servers.downloads.expanduser().absolute() / "kafka")
        archive_classes(jars, partial(_run_kafka_once, jars))
    except Unavailable as error:
        pytest.skip(f"no Kafka: {error}")
    return jars


def _run_kafka_once(jars: Path, java_options: tuple[str, ...]) -> None:
    """Start a broker and end it in good order."""
    with TemporaryDirectory() as folder:
        server = KafkaServer(Path(folder) / "kafka", find_free_block(), jars, java_options=java_options)
        with ServerProcess(server, Path(folder)) as process:
            broker = psutil.Process(process.pid)
            broker.terminate()
            broker.wait(180)


@pytest.fixture(scope="session")
def kafka_server(kafka_jars, tmp_path_factory) -> Iterator[ServerProcess]:
    """A broker; `server.address` needs no login, `server.sasl_address` needs KAFKA_USER and KAFKA_PASSWORD."""
    folder = tmp_path_factory.mktemp("kafka")
    yield from run(make_password_server(folder, kafka_jars), folder)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory) -> Iterator[ServerProcess]:
    """An S3 store with one bucket; `server.storage_options` connects to it. Each test uses its own prefix: s3://bucket/<name>."""
    folder = tmp_path_factory.mktemp("object-store")
    yield from run(ObjectStore(folder, find_free_block()), folder)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory) -> Iterator[ServerProcess]:
    """A Redis; `server.url` connects to it."""
    folder = tmp_path_factory.mktemp("redis")
    yield from run(RedisServer(folder, find_free_block()), folder)


def run(server: Server, logs: Path) -> Iterator[ServerProcess]:
    """Run a server for a test; skip if its program is missing, fail if it does not become ready."""
    try:
        assert server.command
    except Unavailable as error:
        pytest.skip(str(error))
    with ServerProcess(server, logs) as process:
        yield process
