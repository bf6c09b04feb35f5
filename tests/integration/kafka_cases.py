"""Kafka for tests: broker objects, deletion of topics, plays to publish, and a sink that runs beside the test."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from soundlake.broker.kafka import KafkaBroker
from soundlake.contract import TOPICS, Topic
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.errors import SoundlakeError
from soundlake.lake import Lake
from soundlake.settings import Address, KafkaAccess
from soundlake.sink import Sink, SinkLimits
from soundlake.sink.job import RECHECK_SECONDS
from soundlake.sink.membership import CONSUMER_GROUP

LIMITS = SinkLimits(max_events=5_000, max_bytes=8 * 1024 * 1024, max_seconds=0.2)


@contextmanager
def open_kafka(access: KafkaAccess, **options: float) -> Iterator[KafkaBroker]:
    """A broker object that is closed at the end of the block."""
    broker = KafkaBroker(access, **options)
    try:
        yield broker
    finally:
        broker.close()


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return when the condition is true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


def delete_topics(access: KafkaAccess) -> None:
    """Delete this project's topics and wait until the broker has applied it; the controller answers before that."""
    admin = AdminClient({"bootstrap.servers": access.servers})
    deadline = time.monotonic() + 60
    while True:
        ours = {topic.name for topic in (*TOPICS, DLQ)} & admin.list_topics(timeout=30).topics.keys()
        if not ours:
            return
        for deleted in admin.delete_topics(sorted(ours)).values():
            with suppress(KafkaException):  # deleted a moment ago, and still listed
                deleted.result(30)
        assert time.monotonic() < deadline, ours
        time.sleep(0.01)


def make_plays(count: int, listeners: int = 20) -> tuple[list[bytes], list[bytes]]:
    """Keys and values of plays that keep every rule."""
    played_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    names = [f"listener-{number % listeners}" for number in range(count)]
    same = {"event_type": "play", "played_at": played_at, "track_id": "t1"}
    events = [{"event_id": str(uuid.uuid4()), "user_id": name, **same} for name in names]
    return [name.encode() for name in names], [json.dumps(event).encode() for event in events]


def open_lake(folder: Path) -> Lake:
    """A lake in a folder, with its tables."""
    lake = Lake(Address(f"file://{folder}", "file", path=folder))
    lake.ensure_tables()
    return lake


def stored_ids(lake: Lake) -> list[str]:
    """The event_id of each play in bronze."""
    return lake.read("plays", ["event_id"])["event_id"].to_pylist()


def read_ids(values: list[bytes]) -> list[str]:
    """The event_id of each record."""
    return [json.loads(value)["event_id"] for value in values]


def read_committed(access: KafkaAccess, group: str) -> dict[int, int]:
    """The committed offset of each partition of the plays."""
    admin = AdminClient({"bootstrap.servers": access.servers})
    (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    places = future.result(30).topic_partitions
    return {place.partition: place.offset for place in places if place.topic == PLAYS.name and place.offset >= 0}


class RunningSink:
    """A sink on a thread, of the plays by default; leaving the `with` block stops it.

    `error` is what ended it, `done` the number of stored records.

    With a `member` name it joins the consumer group `group`.
    """

    def __init__(
        self,
        access: KafkaAccess,
        lake: Lake,
        *,
        member: str = "",
        group: str = CONSUMER_GROUP,
        retry_seconds: float = 60.0,
        topics: Sequence[Topic] = (PLAYS,),
        recheck_seconds: float = RECHECK_SECONDS,
    ) -> None:
        self._access, self._lake, self._member, self._group, self._retry_seconds = access, lake, member, group, retry_seconds
        self._topics, self._recheck_seconds = topics, recheck_seconds
        self.done = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sink under test")
        self.error: SoundlakeError | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(90)
        assert not self._thread.is_alive()

    def await_ids(self, wanted: list[str]) -> None:
        """Return when bronze holds these plays and no other, each once."""
        deadline = time.monotonic() + 90
        while len(found := stored_ids(self._lake)) < len(wanted) and time.monotonic() < deadline:
            assert self.error is None, self.error
            time.sleep(0.05)
        assert sorted(found) == sorted(wanted)

    def _run(self) -> None:
        with open_kafka(self._access, answer_seconds=5.0) as broker:
            join = partial(broker.join, self._group, self._member, self._topics) if self._member else None
            sink = Sink(broker, self._lake, LIMITS, topics=self._topics, join=join, recheck_seconds=self._recheck_seconds)
            try:
                sink.run(stop=self._stop, on_progress=self._note, retry_seconds=self._retry_seconds)
            except SoundlakeError as error:
                self.error = error

    def _note(self, done: int) -> None:
        self.done = done
