"""Kafka without a server: librdkafka's in-process mock cluster, and scripted consumers."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, Message, Producer, TopicPartition

from soundlake.broker.kafka.connection import Connection, TopicState
from soundlake.errors import TopicMissing
from soundlake.settings import KafkaAccess

PARTITIONS = 4
"""Of every topic of the mock cluster, which creates topics when they are first used."""


class MockCluster:
    """librdkafka's mock cluster: produce, fetch, list offsets and groups over a socket, no administration; it lives with its client."""

    def __init__(self) -> None:
        quiet = logging.getLogger("mock cluster")
        quiet.setLevel(logging.ERROR)
        self._client = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "logger": quiet})
        brokers = self._client.list_topics(timeout=10).brokers.values()
        self.access = KafkaAccess(",".join(f"{broker.host}:{broker.port}" for broker in brokers))


class MockConnection(Connection):
    """A connection to the mock cluster, which does not describe topics: `topic_ids` replaces that, an empty id is a missing topic."""

    def __init__(self, access: KafkaAccess, answer_seconds: float) -> None:
        super().__init__(access, answer_seconds)
        self.topic_ids: dict[str, str] = {}
        self.descriptions = 0

    def describe(self, topic: str) -> TopicState:
        self.descriptions += 1
        topic_id = self.topic_ids.get(topic, "first")
        if not topic_id:
            raise TopicMissing(topic)
        return TopicState(topic_id, PARTITIONS)


def make_message(partition: int | None, offset: int, value: bytes | None = b"x", *, error: int | None = None) -> Message:
    """A record at an offset, or an error."""
    given = {name: value for name, value in {"topic": "user_plays", "partition": partition, "offset": offset}.items() if value is not None}
    if error is not None:
        return Message(**given, error=KafkaError(error))
    return Message(**given, key=b"ann", value=value, timestamp=(2, 1_000 + offset))


class ScriptedConsumer:
    """Returns prepared batches of messages, and records what it was assigned."""

    def __init__(self, *batches: list[Message]) -> None:
        self.batches = list(batches)
        self.assigned: list[tuple[int, int]] = []
        self.unassigned: list[int] = []
        self.counts: list[int] = []
        self.is_closed = False

    def consume(self, count: int, _timeout: float) -> list[Message]:
        self.counts.append(count)
        return self.batches.pop(0) if self.batches else []

    def incremental_assign(self, places: Iterable[TopicPartition]) -> None:
        self.assigned += [(place.partition, place.offset) for place in places]

    def incremental_unassign(self, places: Iterable[TopicPartition]) -> None:
        self.unassigned += [place.partition for place in places]

    def close(self) -> None:
        self.is_closed = True


class GroupConsumer:
    """A consumer whose group events come from the test, in the thread that polls."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.events: queue.Queue[Callable[[], Message | None]] = queue.Queue()
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.topics: list[str] = []
        self.commits: list[list[tuple[str, int, int]]] = []
        self.calls: list[str] = []
        self.commit_error: Exception | None = None

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self.topics, self.callbacks = topics, callbacks

    def assign(self, _places: list[TopicPartition]) -> None:
        self.calls.append("assign")

    def unassign(self) -> None:
        self.calls.append("unassign")

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> None:
        assert asynchronous
        if self.commit_error is not None:
            raise self.commit_error
        self.commits.append([(place.topic, place.partition, place.offset) for place in offsets])

    def close(self) -> None:
        self.calls.append("close")

    def poll(self, timeout: float) -> Message | None:
        try:
            return self.events.get(timeout=min(timeout, 0.02))()
        except queue.Empty:
            return None

    def call(self, name: str, *places: tuple[str, int]) -> None:
        """Have the polling thread call `on_assign`, `on_revoke` or `on_lost` with these partitions."""
        self.events.put(lambda: self.callbacks[name](self, [TopicPartition(*place) for place in places]))

    def report(self, code: int) -> None:
        """Have the next poll return an error."""
        self.events.put(lambda: make_message(0, 0, error=code))
