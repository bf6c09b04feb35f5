"""Where a campaign stores, a folder or a bucket; Kafka's topics for tests on the shared broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.kafka_cases import delete_topics, open_kafka

from soundlake.broker.kafka import KafkaBroker
from soundlake.contract import TOPICS
from soundlake.contract.topics import DLQ
from soundlake.settings import KafkaAccess

if TYPE_CHECKING:
    from tests.integration.foreign_clients import GoClient, JavaClient


@pytest.fixture(params=["folder", "bucket"])
def campaign(request, tmp_path) -> Path:
    """The folder of one; `sink_driver.open_lake` finds there where its lake is."""
    if request.param == "bucket":
        options = request.getfixturevalue("object_store").server.storage_options
        found = {"uri": f"s3://spotify-data-lake/{tmp_path.name}", "storage_options": options}
        (tmp_path / "bucket.json").write_text(json.dumps(found))
    return tmp_path


@pytest.fixture
def access(kafka_server) -> Iterator[KafkaAccess]:
    """The shared broker, without topics of this project before and after the test."""
    access = KafkaAccess(kafka_server.server.address)
    delete_topics(access)
    yield access
    delete_topics(access)


@pytest.fixture
def broker(access) -> Iterator[KafkaBroker]:
    """The shared broker with every topic, of three partitions each."""
    with open_kafka(access) as creator:  # on a busy machine new topics are usable only after more than five seconds
        creator.create_topics([*TOPICS, DLQ], partitions=3)
    with open_kafka(access, answer_seconds=5.0) as broker:
        yield broker


@pytest.fixture(scope="session")
def java_client(kafka_jars) -> Iterator[JavaClient]:
    """Kafka's own client as a producer."""
    from tests.integration.foreign_clients import open_java_client

    with open_java_client(kafka_jars) as client:
        yield client


@pytest.fixture(scope="session")
def go_client(tmp_path_factory) -> GoClient:
    """franz-go as a producer; skips the test where it cannot be built."""
    from tests.integration.foreign_clients import build_go_client

    return build_go_client(tmp_path_factory.mktemp("go"))
