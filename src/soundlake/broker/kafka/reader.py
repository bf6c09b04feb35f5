"""Reading a topic ahead of who asks: librdkafka fetches all partitions in the background, an asker takes them one by one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from soundlake.errors import DataError

SETTINGS: dict[str, str | int | bool] = {
    "group_id": "soundlake-reader",  # librdkafka wants one; nothing is ever committed under it
    "enable_auto_commit": False,
    "enable_auto_offset_store": False,
    "auto_offset_reset": "error",  # never skip: an offset that is not there is told
    "enable_partition_eof": True,
    "fetch_queue_backoff_ms": 20,
    "fetch_wait_max_ms": 200,  # also how long a partition newly asked for may have to wait behind an idle request
    "queued_min_messages": 200_000,
    "queued_max_messages_kbytes": 64 * 1024,
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
}

_MESSAGES_A_PULL = 10_000
_MAX_WAITING_BYTES = 64 * 1024 * 1024  # of a partition that nobody asks for while another one is read


class Chunk(NamedTuple):
    """Consecutive records of a partition as columns."""

    first: int
    timestamps_ms: pa.Array
    keys: pa.Array
    values: pa.Array

    def slice(self, start: int, length: int) -> Chunk:
        """A part of it."""
        return Chunk(self.first + start, *(column.slice(start, length) for column in self[1:]))


class TopicReader:
    """The records of one topic. What is handed out of a partition begins exactly where the asker wants it, and has no gap."""

    def __init__(self, consumer: Consumer, topic: str, topic_id: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self.topic_id = topic_id
        self._waiting: dict[int, list[Chunk]] = {}
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def holds(self, partition: int, offset: int) -> bool:
        """Whether the record at this offset is here to be taken."""
        waiting = self._waiting.get(partition)
        return bool(waiting) and waiting[0].first == offset  # type: ignore[index]  # an empty list is false

    def seek(self, partition: int, offset: int) -> None:
        """Read the partition from this offset on, unless that is what is being done."""
        waiting = self._waiting.get(partition, [])
        if (waiting[0].first if waiting else self._next.get(partition)) == offset:
            return
        self.forget(partition)
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, offset)])
        self._next[partition] = offset

    def forget(self, partition: int) -> None:
        """Stop reading the partition and drop what waits."""
        if self._next.pop(partition, None) is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        self._waiting.pop(partition, None)
        self._ends.pop(partition, None)

    def pull(self, wanted: int, wait_seconds: float) -> bool:
        """Take over what has arrived, or wait for it; tells whether there were records. Raises KafkaException for what went wrong."""
        messages = self._consumer.consume(_MESSAGES_A_PULL, 0)
        if not messages and wait_seconds:
            messages = [*self._consumer.consume(1, wait_seconds), *self._consumer.consume(_MESSAGES_A_PULL, 0)]
        records = [message for message in messages if message.error() is None] if any(map(Message.error, messages)) else messages
        for partition, run in groupby(records, Message.partition):
            self._keep(partition, list(run))
        self._hear(message for message in messages if message.error() is not None)
        for partition, waiting in list(self._waiting.items()):
            if partition != wanted and sum(chunk.values.nbytes for chunk in waiting) > _MAX_WAITING_BYTES:
                self.forget(partition)
        return bool(records)

    def check_no_hole(self, partition: int, offset: int) -> None:
        """Raise DataError if the log ends behind the offset although nothing stands there."""
        if not self._waiting.get(partition) and self._ends.get(partition, offset) > offset:
            raise _hole(self._topic, partition, offset, self._ends[partition])

    def take(self, partition: int, max_records: int, max_bytes: int) -> list[Chunk]:
        """The next records within the limits, at least one; there must be some."""
        waiting, taken = self._waiting[partition], list[Chunk]()
        while waiting and max_records > 0 and (max_bytes > 0 or not taken):
            chunk = waiting[0]
            sizes = np.cumsum(pc.fill_null(pc.binary_length(chunk.values), 0).to_numpy())
            fitting = int(np.searchsorted(sizes[:max_records], max_bytes, side="right"))
            if fitting == 0 and not taken:
                fitting = 1
            if fitting < len(sizes):
                if fitting:
                    taken.append(chunk.slice(0, fitting))
                    waiting[0] = chunk.slice(fitting, len(sizes) - fitting)
                break
            taken.append(waiting.pop(0))
            max_records -= fitting
            max_bytes -= int(sizes[-1])
        return taken

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _keep(self, partition: int | None, run: list[Message]) -> None:
        expected = None if partition is None else self._next.get(partition)
        if partition is None or expected is None:
            return  # forgotten meanwhile
        first, last = run[0].offset(), run[-1].offset()
        assert first is not None
        assert last is not None
        if first != expected or last - first + 1 != len(run):
            raise _hole(self._topic, partition, expected, first if first != expected else last)
        self._next[partition] = last + 1
        self._waiting.setdefault(partition, []).append(
            Chunk(
                first,
                pa.array([moment for _, moment in map(Message.timestamp, run)], pa.int64()),
                pa.array(list(map(Message.key, run)), pa.binary()),
                pa.array(list(map(Message.value, run)), pa.binary()),
            )
        )

    def _hear(self, errors: Iterable[Message]) -> None:
        for message in errors:
            error, partition, offset = message.error(), message.partition(), message.offset()
            assert error is not None, "only errors are heard"
            if partition is None or offset is None:
                raise KafkaException(error)
            if error.code() == KafkaError._PARTITION_EOF:
                self._ends[partition] = offset
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self.forget(partition)  # the offsets of the log tell why
            else:
                raise KafkaException(error)


def _hole(topic: str, partition: int, expected: int, found: int) -> DataError:
    return DataError(
        f"{topic}[{partition}]: offset {expected} is next, but there is no record before {found}: "
        "the topic is compacted, or somebody writes to it in transactions",
        next_step="let only producers without transactions write to it, with cleanup.policy=delete (`soundlake topics create --repair`)",
    )
