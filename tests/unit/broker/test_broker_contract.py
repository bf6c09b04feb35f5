"""The brokers without a server implement the `Broker` interface."""

from __future__ import annotations

import itertools

import pytest
from tests.unit.broker.broker_contract import BrokerContract

from soundlake.broker import EmbeddedBroker, MemoryBroker


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def open_broker(self):
        return MemoryBroker


class TestEmbeddedBroker(BrokerContract):
    @pytest.fixture
    def open_broker(self, tmp_path):
        opened = []

        def open_one(clock):
            opened.append(EmbeddedBroker(tmp_path / f"broker-{next(numbers)}.db", clock))
            return opened[-1]

        numbers = itertools.count()
        yield open_one
        for broker in opened:
            broker.close()
