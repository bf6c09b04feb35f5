"""What producers and operators of other teams do to a topic: transactions, settings, more partitions."""

from __future__ import annotations

import itertools

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, ResourceType
from tests.integration.kafka_cases import wait_until

from soundlake.contract.topics import PLAYS
from soundlake.settings import KafkaAccess

NUMBERS = itertools.count()


class Transactions:
    """A producer with transactions, to one partition."""

    def __init__(self, access: KafkaAccess, partition: int = 0, topic: str = PLAYS.name) -> None:
        # after a minute, the default, a busy machine's broker would abort a transaction that a test keeps open
        limits = {"transaction.timeout.ms": 600_000}
        self._producer = Producer({"bootstrap.servers": access.servers, "transactional.id": f"producer {next(NUMBERS)}", **limits})
        self._producer.init_transactions(30)
        self._topic, self._partition = topic, partition

    def begin(self, values: list[bytes]) -> None:
        """Send records in a transaction that stays open."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(self._topic, value, partition=self._partition)
        self._producer.flush(30)

    def end(self, *, commit: bool = True) -> None:
        """Commit the transaction, or abort it."""
        self._producer.commit_transaction(30) if commit else self._producer.abort_transaction(30)

    def send(self, values: list[bytes], *, commit: bool = True) -> None:
        """A whole transaction."""
        self.begin(values)
        self.end(commit=commit)


def configure_topic(access: KafkaAccess, topic: str, **settings: object) -> None:
    """Change settings of a topic, underscores for dots, and leave its others as they are; returns when the broker has applied them."""
    wanted = {name.replace("_", "."): str(value) for name, value in settings.items()}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": access.servers})  # kept until the answer: without its client a request ends
    (changed,) = admin.incremental_alter_configs([resource]).values()
    changed.result(30)

    def is_applied() -> bool:
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        found = described.result(30)
        return all(found[name].value == value for name, value in wanted.items())

    wait_until(is_applied)  # the controller answers before that


def add_partitions(access: KafkaAccess, topic: str, count: int) -> None:
    """Extend a topic to `count` partitions, and wait until the broker lists them."""
    admin = AdminClient({"bootstrap.servers": access.servers})
    (added,) = admin.create_partitions([NewPartitions(topic, count)]).values()
    added.result(30)
    wait_until(lambda: len(admin.list_topics(topic, timeout=30).topics[topic].partitions) == count)
