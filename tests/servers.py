"""Real servers for tests, one of each kind a test process, on free ports; a test that stops or kills one starts it again.

Where a program cannot be had, the tests that need it are skipped with the reason; `make test` names it before they begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server_process import ServerProcess

from soundlake.errors import Unavailable
from soundlake.operations.servers import KAFKA_JARS, KafkaServer, ObjectStore, RedisServer, Server, find_free_block, install_jars
from soundlake.settings import load_settings

__all__ = ["KAFKA_PASSWORD", "KAFKA_USER", "kafka_jars", "kafka_server", "object_store", "redis_server"]

KAFKA_USER = "soundlake"
KAFKA_PASSWORD = "correct-horse"


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The folder of Kafka's jars, fetched the first time."""
    try:
        return install_jars(KAFKA_JARS, load_settings().servers.downloads / "kafka")
    except Unavailable as error:
        pytest.skip(f"no Kafka: {error}")


@pytest.fixture(scope="session")
def kafka_server(kafka_jars, tmp_path_factory) -> Iterator[ServerProcess]:
    """A broker; `server.address` takes anybody, `server.sasl_address` KAFKA_USER with KAFKA_PASSWORD."""
    folder = tmp_path_factory.mktemp("kafka")
    yield from run(KafkaServer(folder, find_free_block(), kafka_jars, users={KAFKA_USER: KAFKA_PASSWORD}), folder)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory) -> Iterator[ServerProcess]:
    """An S3 store with one bucket; `server.storage_options` is how to reach it. Take a prefix of your own: s3://bucket/<name>."""
    folder = tmp_path_factory.mktemp("object-store")
    yield from run(ObjectStore(folder, find_free_block()), folder)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory) -> Iterator[ServerProcess]:
    """A Redis; `server.url` is how to reach it."""
    folder = tmp_path_factory.mktemp("redis")
    yield from run(RedisServer(folder, find_free_block()), folder)


def run(server: Server, logs: Path) -> Iterator[ServerProcess]:
    """Run a server around a test; skip if its program is not there, fail if it does not come up."""
    try:
        assert server.command
    except Unavailable as error:
        pytest.skip(str(error))
    with ServerProcess(server, logs) as process:
        yield process
