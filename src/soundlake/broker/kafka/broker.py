"""Apache Kafka as the event log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, ConsumerGroupTopicPartitions, TopicPartition

from soundlake.broker.kafka.connection import ANSWER_SECONDS, REQUEST_SECONDS, Connection, ErrorListener
from soundlake.broker.kafka.consumer_group import GroupMember
from soundlake.broker.kafka.errors import LeaderUnavailable, build_stalled_error
from soundlake.broker.kafka.producer import RecordProducer
from soundlake.broker.kafka.reader import SETTINGS, Chunk, TopicReader
from soundlake.broker.kafka.topics import TopicCheck, TopicManager, TopicPlan
from soundlake.broker.protocol import Delivery, OffsetRange, Records
from soundlake.broker.validation import check_partitions_exist, check_same_length
from soundlake.contract import Topic
from soundlake.errors import SoundlakeError, TopicMissing, Unavailable
from soundlake.settings import KafkaAccess

DELIVERY_SECONDS = 120.0
"""How long an append goes on trying before the fate of what is left counts as unsure."""

_MAX_POLL_BYTES = 512 * 1024 * 1024  # Arrow counts the bytes of a binary column in 31 bits
_FRESH_SECONDS = 5.0  # how long what was heard of a topic counts, where a mistake would be noticed anyway
_WAIT_SECONDS = 0.02
_NO_RECORDS = Chunk(0, pa.array([], pa.int64()), pa.array([], pa.binary()), pa.array([], pa.binary()))


class KafkaBroker:
    """Broker on a Kafka cluster. One object may serve several threads, not a fork.

    Positions are the asker's: partitions are read from the offset asked for, a group decides at most which. A topic's log id holds the id
    of the topic, asked for again after every read: what is handed out as of one log was read while it was there.
    """

    preferred_append_records = 100_000  # at its end an append waits for the last answers, some ten milliseconds

    def __init__(
        self,
        access: KafkaAccess,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        delivery_seconds: float = DELIVERY_SECONDS,
        retention_ms: int = -1,
    ) -> None:
        self._connection = Connection(access, answer_seconds)
        self._keeper = TopicManager(self._connection)
        self._producer = RecordProducer(self._connection, delivery_seconds)
        self._retention_ms = retention_ms
        self._watch = ErrorListener(access)
        self._asker = Consumer(self._connection.configure(self._watch, **SETTINGS))
        self._readers: dict[str, TopicReader] = {}
        self._known: dict[str, tuple[float, int]] = {}
        self._lock = threading.RLock()

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Make the topics that do not exist."""
        self._make(topics, TopicPlan(partitions, self._retention_ms))

    def ensure_topics(self, topics: Sequence[Topic], plan: TopicPlan, *, repair: bool = False) -> list[TopicCheck]:
        """Make the topics that do not exist, and compare each with the plan; with `repair`, set the settings that differ."""
        made = self._make(topics, plan)
        checks = self._keeper.verify(topics, plan, made)
        if repair and any(check.differences for check in checks):
            self._keeper.repair(checks)
            checks = self._keeper.verify(topics, plan, made)
        return checks

    def log_id(self, topic: str) -> str:
        """The cluster's and the topic's id: a topic made anew has another one."""
        return self._connection.name_log(self._connection.describe(topic).topic_id)

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending."""
        return list(range(self._count(topic)))

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """What each partition holds now."""
        numbers = self.partitions(topic)
        return self._connection.insist(lambda: self._ask_offsets(topic, numbers))

    def _ask_offsets(self, topic: str, numbers: list[int]) -> dict[int, OffsetRange]:
        patience = self._connection.answer_seconds
        try:
            with self._connection.explained(f"asking for the offsets of {topic}", topic=topic):
                begins, ends = (
                    self._asker.offsets_for_times([TopicPartition(topic, number, edge) for number in numbers], patience)
                    for edge in (OFFSET_BEGINNING, OFFSET_END)
                )
        except LeaderUnavailable:
            with self._connection.explained(f"asking who leads {topic}", topic=topic):
                self._asker.list_topics(topic, patience)
            raise
        return {begin.partition: OffsetRange(begin.offset, end.offset) for begin, end in zip(begins, ends, strict=True)}

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records; returns when each is durable, refused, or given up on after `delivery_seconds`."""
        check_same_length(keys, values)
        self._count(topic)
        delivery = self._producer.append(topic, keys, values)
        if delivery.acknowledged < delivery.count:
            self._known.pop(topic, None)
        return delivery

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on."""
        while not (runs := self.poll(topic, {partition: offset}, max_records=max_records, max_bytes=max_bytes)):
            held = self.offsets(topic)[partition]
            held.check(topic, partition, offset)
            if offset == held.end:
                return _build_records(topic, partition, self.log_id(topic), _NO_RECORDS)
            time.sleep(_WAIT_SECONDS)  # a poll says when that has been too long
        return _join_runs(runs)

    def poll(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
        """What has arrived of these partitions, as it was pulled; all of it is of the log that it names."""
        check_partitions_exist(topic, self._count(topic), offsets)
        limits = {"max_records": max_records, "max_bytes": min(max_bytes, _MAX_POLL_BYTES)}
        with self._lock, self._reading(topic):
            reader = self._pull(topic, offsets, **limits)
            if not reader.has_waiting:
                self._check_silence(reader, topic, offsets)
            taken = reader.take(**limits)
            log_id = self._connection.name_log(reader.topic_id) if taken else ""
        return [_build_records(topic, partition, log_id, chunk) for partition, chunk in taken]

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Give up the records below an offset of each partition."""
        check_partitions_exist(topic, self._count(topic), before)
        held = self.offsets(topic)
        wanted = [TopicPartition(topic, number, min(offset, held[number].end)) for number, offset in before.items()]
        for future in self._connection.admin.delete_records(wanted, request_timeout=REQUEST_SECONDS).values():
            self._connection.ask(future, f"deleting old records of {topic}", topic=topic)

    def join(self, group: str, member: str, topics: Sequence[Topic]) -> GroupMember:
        """A place in a group that shares the partitions of these topics, kept by the member's name; to be closed."""
        return GroupMember(self._connection, group, member, [topic.name for topic in topics])

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember the next offset of each partition; while the group has members, it is theirs, and nothing happens."""
        check_partitions_exist(topic, self._count(topic), offsets)
        asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number, offset) for number, offset in offsets.items()])]
        (future,) = self._connection.admin.alter_consumer_group_offsets(asked, request_timeout=REQUEST_SECONDS).values()
        self._connection.ask(future, f"committing offsets of {topic} for {group}", topic=topic)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """What `commit` last remembered."""
        asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in self.partitions(topic)])]
        (future,) = self._connection.admin.list_consumer_group_offsets(asked, request_timeout=REQUEST_SECONDS).values()
        found = self._connection.ask(future, f"asking for the offsets of {group}", topic=topic).topic_partitions
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            for topic in list(self._readers):
                self._drop_reader(topic)
            self._producer.close()
            self._asker.close()

    def _make(self, topics: Sequence[Topic], plan: TopicPlan) -> set[str]:
        """Make what is missing, and wait until it can be used: its leaders are known a moment later."""
        made = self._keeper.make(topics, plan)
        deadline = time.monotonic() + self._connection.answer_seconds
        for name in made:
            while not self._is_usable(name):
                if time.monotonic() > deadline:
                    raise Unavailable(f"the topic {name} was made and is not there yet", next_step="try again in a moment")
                time.sleep(_WAIT_SECONDS)
        return made

    def _is_usable(self, topic: str) -> bool:
        try:
            self.offsets(topic)
        except (Unavailable, TopicMissing):
            return False
        return True

    def _count(self, topic: str) -> int:
        """How many partitions the topic has; asked for every few seconds, which tells too whether the cluster answers."""
        heard, count = self._known.get(topic, (0.0, 0))
        if time.monotonic() - heard > _FRESH_SECONDS or not count:
            self._known.pop(topic, None)
            count = self._connection.describe(topic).partitions
            self._known[topic] = (time.monotonic(), count)
        return count

    def _pull(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> TopicReader:
        """Take over what has arrived of the topic, and see that it is still the topic that it was when the reading began."""
        reader = self._readers.get(topic) or self._open_reader(topic)
        reader.seek(offsets)
        found = not reader.has_waiting and reader.pull(max_records, max_bytes)
        if found and self._connection.describe(topic).topic_id != reader.topic_id:
            self._drop_reader(topic)
            return self._pull(topic, offsets, max_records=max_records, max_bytes=max_bytes)
        return reader

    def _check_silence(self, reader: TopicReader, topic: str, offsets: Mapping[int, int]) -> None:
        """Where nothing has arrived: raise what is wrong with the offsets, if it is time to ask."""
        reader.check_no_hole(offsets)
        is_long = reader.silent_seconds > self._connection.answer_seconds
        if not reader.is_lost and not is_long:
            return
        held = self.offsets(topic)
        for partition, offset in offsets.items():
            held[partition].check(topic, partition, offset)
        behind = {partition: offset for partition, offset in offsets.items() if offset < held[partition].end}
        if behind and is_long:
            raise build_stalled_error(topic, behind, self._connection.answer_seconds)
        if not behind:
            reader.listen()

    def _open_reader(self, topic: str) -> TopicReader:
        consumer = Consumer(self._connection.configure(self._watch, **SETTINGS))
        self._readers[topic] = TopicReader(consumer, topic, self._connection.describe(topic).topic_id)
        return self._readers[topic]

    def _drop_reader(self, topic: str) -> None:
        if (reader := self._readers.pop(topic, None)) is not None:
            reader.close()

    @contextmanager
    def _reading(self, topic: str) -> Iterator[None]:
        """Explain what goes wrong on the reader's connection; after any error it is opened anew."""
        try:
            with self._connection.explained(f"reading {topic}", topic=topic):
                yield
        except SoundlakeError:
            self._drop_reader(topic)
            raise


def _build_records(topic: str, partition: int, log_id: str, chunk: Chunk) -> Records:
    offsets = pa.array(np.arange(chunk.first, chunk.first + len(chunk.values), dtype=np.int64))
    return Records(topic, partition, log_id, offsets, *chunk[1:])


def _join_runs(runs: list[Records]) -> Records:
    """Consecutive runs of one partition as one."""
    columns = zip(*((run.offsets, run.timestamps_ms, run.keys, run.values) for run in runs), strict=True)
    return Records(runs[0].topic, runs[0].partition, runs[0].log_id, *map(pa.concat_arrays, columns))
