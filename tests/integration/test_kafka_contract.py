"""Apache Kafka implements the `Broker` interface."""

from __future__ import annotations

import pytest
from tests.integration.kafka_cases import delete_topics
from tests.unit.broker.broker_contract import FOREVER, BrokerContract

from soundlake.broker.kafka import KafkaBroker
from soundlake.broker.protocol import read_utc_now, to_epoch_ms
from soundlake.contract.topics import PLAYS
from soundlake.settings import KafkaAccess


class TestKafkaBroker(BrokerContract):
    @pytest.fixture
    def open_broker(self, kafka_server):
        access = KafkaAccess(kafka_server.server.address)
        opened = []

        def open_empty(_clock):
            delete_topics(access)
            opened.append(KafkaBroker(access))
            return opened[-1]

        yield open_empty
        for broker in opened:
            broker.close()
        delete_topics(access)

    def test_each_record_carries_the_time_of_its_append(self, broker, clock):
        before = to_epoch_ms(read_utc_now())
        broker.append(PLAYS.name, [b"ann"] * 2, [b"1", b"2"])
        between = to_epoch_ms(read_utc_now())
        broker.append(PLAYS.name, [b"ann"], [b"3"])
        (partition,) = [number for number, held in broker.offsets(PLAYS.name).items() if len(held)]
        times = broker.fetch(PLAYS.name, partition, 0, **FOREVER).timestamps_ms.to_pylist()
        assert before <= times[0] == times[1] <= between <= times[2] <= to_epoch_ms(read_utc_now())

    def test_each_log_has_its_own_id(self, open_broker, broker, clock):
        before = broker.log_id(PLAYS.name)
        assert broker.log_id(PLAYS.name) == before
        open_broker(clock).create_topics([PLAYS], partitions=1)
        assert broker.log_id(PLAYS.name) != before
