"""Apache Kafka as the event log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from soundlake.broker.kafka.chunk import build_records, join_runs, make_empty_chunk
from soundlake.broker.kafka.connection import ANSWER_SECONDS, REQUEST_SECONDS, Connection, ErrorListener
from soundlake.broker.kafka.consumer_group import GroupMember
from soundlake.broker.kafka.errors import LeaderUnavailable, build_stalled_error
from soundlake.broker.kafka.offsets import OffsetQueries
from soundlake.broker.kafka.producer import RecordProducer
from soundlake.broker.kafka.reader import SETTINGS, KafkaReader
from soundlake.broker.kafka.topics import TopicCheck, TopicManager, TopicPlan
from soundlake.broker.protocol import Delivery, OffsetRange, Records
from soundlake.broker.validation import check_partitions_exist, check_same_length
from soundlake.contract import Topic
from soundlake.errors import OffsetGap, SoundlakeError, TopicMissing, Unavailable
from soundlake.settings import KafkaAccess

DELIVERY_SECONDS = 120.0
"""How long an append retries before the records without an answer count as unsure."""

_MAX_POLL_BYTES = 512 * 1024 * 1024  # Arrow counts the bytes of a binary column in 31 bits
_CACHE_SECONDS = 5.0  # how long a partition count is used before it is read again
_POLL_SECONDS = 0.02


class KafkaBroker:
    """Broker on a Kafka cluster. One object may serve several threads, not a forked process.

    Reading starts at the offset of each call; a group decides at most which partitions. The log id contains the topic's id, which is
    read again after every fetch: records are returned under the id that was valid after they arrived. An offset without a record is
    passed over while the log still begins at or below it and deletes by age only; a record that is gone raises OffsetGap.
    """

    preferred_append_records = 100_000  # an append ends with some ten milliseconds of waiting for the last answers

    def __init__(
        self,
        access: KafkaAccess,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        delivery_seconds: float = DELIVERY_SECONDS,
        retention_ms: int = -1,
        connect: Callable[[KafkaAccess, float], Connection] = Connection,
    ) -> None:
        self._connection = connect(access, answer_seconds)
        self._topics = TopicManager(self._connection)
        self._producer = RecordProducer(self._connection, delivery_seconds)
        self._retention_ms = retention_ms
        self._listener = ErrorListener(access)
        self._offsets = OffsetQueries(self._connection, self._listener)
        self._readers: dict[str, KafkaReader] = {}
        self._partition_counts: dict[str, tuple[float, int]] = {}
        self._lock = threading.RLock()

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Create the topics that do not exist."""
        self._create_missing(topics, TopicPlan(partitions, self._retention_ms))

    def ensure_topics(self, topics: Sequence[Topic], plan: TopicPlan, *, repair: bool = False) -> list[TopicCheck]:
        """Create the topics that do not exist and compare each with the plan; with `repair`, set the settings that differ."""
        created = self._create_missing(topics, plan)
        checks = self._topics.compare(topics, plan, created)
        if repair and any(check.differences for check in checks):
            self._topics.repair(checks)
            checks = self._topics.compare(topics, plan, created)
        return checks

    def log_id(self, topic: str) -> str:
        """The cluster's and the topic's id; it changes when the topic is created again."""
        return self._connection.build_log_id(self._connection.describe(topic).topic_id)

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending."""
        return list(range(self._count_partitions(topic)))

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """The offsets that each partition holds now."""
        return self._connection.retry_without_leader(lambda: self._read_offsets(topic))

    def count_held_back(self, topic: str) -> dict[int, int]:
        """The number of offsets of each partition that open transactions hold back."""
        numbers = self.partitions(topic)
        marks = self._connection.retry_without_leader(lambda: self._offsets.read_high_watermarks(topic, numbers))
        ends = self.offsets(topic)  # read after the marks, so that records appended meanwhile do not count
        return {number: marks[number] - ends[number].end for number in numbers if number in ends and marks[number] > ends[number].end}

    def check_deletes_by_age(self, topic: str) -> None:
        """Raise TopicCompacted if the topic is compacted."""
        self._topics.check_not_compacted(topic)

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records; after `delivery_seconds` those without an answer are unsure."""
        check_same_length(keys, values)
        self._count_partitions(topic)
        delivery = self._producer.append(topic, keys, values)
        if delivery.acknowledged < delivery.count:
            self._partition_counts.pop(topic, None)
        return delivery

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on."""
        runs, position = list[Records](), offset
        while not any(map(len, runs)):
            if found := self.poll(topic, {partition: position}, max_records=max_records, max_bytes=max_bytes):
                runs = [*(run for run in runs if run.log_id == found[0].log_id), *found]
                position = found[-1].next_offset
                continue
            held = self.offsets(topic)[partition]
            held.check(topic, partition, position)
            if position == held.end:
                return join_runs(runs or [build_records(topic, partition, self.log_id(topic), make_empty_chunk(position, position))])
            time.sleep(_POLL_SECONDS)  # ends at the latest by the error for a stalled partition, which `poll` raises
        return join_runs(runs)

    def poll(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
        """The records that have arrived of these partitions; all are of the log that they name."""
        check_partitions_exist(topic, self._count_partitions(topic), offsets)
        limits = {"max_records": max_records, "max_bytes": min(max_bytes, _MAX_POLL_BYTES)}
        with self._lock, self._close_reader_on_error(topic):
            reader = self._pull(topic, offsets, **limits)
            if not reader.has_buffered:
                self._check_idle(reader, topic, offsets)
            taken = reader.take(**limits)
            log_id = self._connection.build_log_id(reader.topic_id) if taken else ""
        return [build_records(topic, partition, log_id, chunk) for partition, chunk in taken]

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records below an offset of each partition."""
        check_partitions_exist(topic, self._count_partitions(topic), before)
        held = self.offsets(topic)
        wanted = [TopicPartition(topic, number, min(offset, held[number].end)) for number, offset in before.items()]
        for future in self._connection.admin.delete_records(wanted, request_timeout=REQUEST_SECONDS).values():
            self._connection.await_answer(future, f"deleting old records of {topic}", topic=topic)

    def join(self, group: str, member: str, topics: Sequence[Topic]) -> GroupMember:
        """Join a group that shares the partitions of these topics, under a static member name. The caller closes the membership."""
        return GroupMember(self._connection, group, member, [topic.name for topic in topics])

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit the next offset of each partition. While the group has members, Kafka accepts only theirs."""
        check_partitions_exist(topic, self._count_partitions(topic), offsets)
        request = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number, offset) for number, offset in offsets.items()])]
        (future,) = self._connection.admin.alter_consumer_group_offsets(request, request_timeout=REQUEST_SECONDS).values()
        self._connection.await_answer(future, f"committing offsets of {topic} for {group}", topic=topic)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for topic in list(self._readers):
                self._close_reader(topic)
            self._producer.close()
            self._offsets.close()

    def _create_missing(self, topics: Sequence[Topic], plan: TopicPlan) -> set[str]:
        """Create what is missing, and wait until its partitions have leaders."""
        created = self._topics.create_missing(topics, plan)
        until_usable = Retrying(
            retry=retry_if_exception_type((Unavailable, TopicMissing)),  # not every broker of the cluster knows it at once
            wait=wait_fixed(_POLL_SECONDS),
            stop=stop_after_delay(self._connection.answer_seconds),
        )
        for name in created:
            try:
                until_usable(self.offsets, name)
            except RetryError as cause:
                raise Unavailable(f"the topic {name} was created and cannot be used yet", next_step="run it again in a moment") from cause
        return created

    def _count_partitions(self, topic: str) -> int:
        """The topic's partition count, read again after a few seconds, which also checks that the cluster answers."""
        read_at, count = self._partition_counts.get(topic, (0.0, 0))
        if time.monotonic() - read_at > _CACHE_SECONDS or not count:
            self._partition_counts.pop(topic, None)
            count = self._connection.describe(topic).partitions
            self._partition_counts[topic] = (time.monotonic(), count)
        return count

    def _read_offsets(self, topic: str) -> dict[int, OffsetRange]:
        try:
            return self._offsets.read(topic, self.partitions(topic))
        except LeaderUnavailable:
            self._partition_counts.pop(topic, None)  # the topic may have been created again with fewer
            raise

    def _pull(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> KafkaReader:
        """Pull what has arrived; start again if the topic has been created again since its reader was opened."""
        reader = self._readers.get(topic) or self._open_reader(topic)
        reader.seek(offsets)
        found = not reader.has_buffered and reader.pull(max_records, max_bytes)
        if reader.is_in_doubt or (found and self._connection.describe(topic).topic_id != reader.topic_id):
            self._close_reader(topic)
            return self._pull(topic, offsets, max_records=max_records, max_bytes=max_bytes)
        if gaps := reader.take_gaps():
            self._check_gaps(topic, gaps)
        return reader

    def _check_gaps(self, topic: str, gaps: Mapping[int, int]) -> None:
        """Raise if an offset without a record, the first of each partition, may have held one: deleted by age or by compaction."""
        held = self.offsets(topic)
        check_partitions_exist(topic, len(held), gaps)
        for partition, offset in gaps.items():
            if held[partition].begin > offset:
                raise OffsetGap(topic, partition, offset, held[partition].begin)
        self._topics.check_not_compacted(topic, is_required=True)

    def _check_idle(self, reader: KafkaReader, topic: str, offsets: Mapping[int, int]) -> None:
        """Raise what is wrong with the offsets, if a reader without records has a reason to look."""
        is_stalled = reader.idle_seconds > self._connection.answer_seconds
        if not reader.is_out_of_range and not is_stalled:
            return
        held = self.offsets(topic)
        check_partitions_exist(topic, len(held), offsets)
        for partition, offset in offsets.items():
            held[partition].check(topic, partition, offset)
        behind = {partition: offset for partition, offset in offsets.items() if offset < held[partition].end}
        if behind and is_stalled:
            raise build_stalled_error(topic, behind, self._connection.answer_seconds)
        if not behind:
            reader.reset_idle()

    def _open_reader(self, topic: str) -> KafkaReader:
        consumer = Consumer(self._connection.configure(self._listener, **SETTINGS))
        self._readers[topic] = KafkaReader(consumer, topic, self._connection.describe(topic).topic_id)
        return self._readers[topic]

    def _close_reader(self, topic: str) -> None:
        if (reader := self._readers.pop(topic, None)) is not None:
            reader.close()

    @contextmanager
    def _close_reader_on_error(self, topic: str) -> Iterator[None]:
        """Translate the errors of reading; after any of them the next call opens a new reader."""
        try:
            with self._connection.translate_errors(f"reading {topic}", topic=topic):
                yield
        except SoundlakeError:
            self._close_reader(topic)
            raise
