"""Reading a topic ahead of who asks: librdkafka fetches in the background, an asker takes what has arrived, as columns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
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
    "queued_max_messages_kbytes": 32 * 1024,  # of all partitions together; some tenths of a second at the sink's best
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
}

_MESSAGES_A_PULL = 10_000


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
    """The records of one topic. What is handed out of a partition begins exactly where the asker wants it, and has no gap.

    `is_lost`: the log does not hold what was asked for, its offsets tell why.
    """

    def __init__(self, consumer: Consumer, topic: str, topic_id: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self.topic_id = topic_id
        self.is_lost = False
        self._asked: dict[int, int] = {}
        self._waiting: dict[int, list[Chunk]] = {}
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._heard = time.monotonic()

    @property
    def has_waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._waiting)

    @property
    def silent_seconds(self) -> float:
        """For how long nothing has come, although the same was asked for."""
        return time.monotonic() - self._heard

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions, each from its offset on, and no other; those that are being read so go on."""
        if self._asked != offsets:
            self._asked = dict(offsets)
            self.listen()
        for partition in self._next.keys() - offsets.keys():
            self._forget(partition)
        moved = [partition for partition, offset in offsets.items() if self._find_place(partition) != offset]
        for partition in moved:
            self._forget(partition)
            self._next[partition] = offsets[partition]
        if moved:
            self._consumer.incremental_assign([TopicPartition(self._topic, partition, offsets[partition]) for partition in moved])

    def listen(self) -> None:
        """Count silence from now on."""
        self._heard = time.monotonic()
        self.is_lost = False

    def pull(self, max_records: int, max_bytes: int) -> bool:
        """Take over what has arrived, about so much of it; tells whether there were records. Raises KafkaException for what went wrong."""
        records, size = 0, 0
        while records < max_records and size < max_bytes:
            messages = self._consumer.consume(min(max_records - records, _MESSAGES_A_PULL), 0)
            if not messages:
                break
            for chunk in self._take_over(messages):
                records += len(chunk.values)
                size += chunk.values.nbytes
        if records:
            self.listen()
        return records > 0

    def check_no_hole(self, offsets: Mapping[int, int]) -> None:
        """Raise DataError if a partition ends behind its offset although nothing stands there."""
        for partition, offset in offsets.items():
            if partition not in self._waiting and self._ends.get(partition, offset) > offset:
                raise _hole(self._topic, partition, offset, self._ends[partition])

    def take(self, max_records: int, max_bytes: int) -> list[tuple[int, Chunk]]:
        """What waits, with its partition, within the limits; at least one record if any waits."""
        taken: list[tuple[int, Chunk]] = []
        for partition in list(self._waiting):
            if max_records <= 0 or (max_bytes <= 0 and taken):
                break
            chunks = self._take_run(partition, max_records, max_bytes)
            max_records -= sum(len(chunk.values) for chunk in chunks)
            max_bytes -= sum(chunk.values.nbytes for chunk in chunks)
            taken += [(partition, chunk) for chunk in chunks]
        return taken

    def _take_run(self, partition: int, max_records: int, max_bytes: int) -> list[Chunk]:
        """The next records of one partition, at least one; what is left of it goes behind the others."""
        waiting, taken = self._waiting.pop(partition), list[Chunk]()
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
        if waiting:
            self._waiting[partition] = waiting
        return taken

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _find_place(self, partition: int) -> int | None:
        """The offset of the record that is handed out next."""
        return self._waiting[partition][0].first if partition in self._waiting else self._next.get(partition)

    def _forget(self, partition: int) -> None:
        """Stop reading the partition and drop what waits."""
        if self._next.pop(partition, None) is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        self._waiting.pop(partition, None)
        self._ends.pop(partition, None)

    def _take_over(self, messages: list[Message]) -> list[Chunk]:
        """Keep what the consumer has handed over, as columns; the chunks that it makes."""
        errors = [message for message in messages if message.error() is not None] if any(map(Message.error, messages)) else []
        records = [message for message in messages if message.error() is None] if errors else messages
        chunks = []
        for partition, messages_of in groupby(records, Message.partition):
            if partition in self._next:  # else forgotten meanwhile
                chunks.append(self._make_chunk(partition, list(messages_of)))
                self._waiting.setdefault(partition, []).append(chunks[-1])
        self._hear(errors)
        return chunks

    def _make_chunk(self, partition: int, run: list[Message]) -> Chunk:
        expected, first, last = self._next[partition], run[0].offset(), run[-1].offset()
        assert first is not None
        assert last is not None
        if first != expected or last - first + 1 != len(run):
            raise _hole(self._topic, partition, expected, first if first != expected else last)
        self._next[partition] = last + 1
        return Chunk(
            first,
            pa.array([moment for _, moment in map(Message.timestamp, run)], pa.int64()),
            pa.array(list(map(Message.key, run)), pa.binary()),
            pa.array(list(map(Message.value, run)), pa.binary()),
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
                self._forget(partition)
                self.is_lost = True
            else:
                raise KafkaException(error)


def _hole(topic: str, partition: int, expected: int, found: int) -> DataError:
    return DataError(
        f"{topic}[{partition}]: offset {expected} is next, but there is no record before {found}: "
        "the topic is compacted, or somebody writes to it in transactions",
        next_step="let only producers without transactions write to it, with cleanup.policy=delete (`soundlake topics create --repair`)",
    )
