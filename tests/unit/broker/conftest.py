"""The mock cluster of a test process."""

from __future__ import annotations

import pytest
from tests.unit.broker.kafka_fakes import MockCluster


@pytest.fixture(scope="session")
def mock_cluster():
    """librdkafka's in-process cluster; take a topic of your own."""
    return MockCluster()
