"""Reading ahead: librdkafka fetches a topic in the background; the caller takes what has arrived, as columns."""

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
    "group_id": "soundlake-reader",  # required by librdkafka; no offset is committed under it
    "enable_auto_commit": False,
    "enable_auto_offset_store": False,
    "auto_offset_reset": "error",  # a missing offset is an error, never skipped
    "enable_partition_eof": True,
    "fetch_queue_backoff_ms": 20,
    "fetch_wait_max_ms": 200,  # a newly assigned partition may wait that long behind an idle request
    "queued_min_messages": 200_000,
    "queued_max_messages_kbytes": 32 * 1024,  # of all partitions together; some tenths of a second at the sink's highest rate
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


class KafkaReader:
    """The records of one topic, of each partition exactly from the requested offset on and without a gap.

    `is_out_of_range`: the log does not hold a requested offset; its offset range says why.
    """

    def __init__(self, consumer: Consumer, topic: str, topic_id: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self.topic_id = topic_id
        self.is_out_of_range = False
        self._requested: dict[int, int] = {}
        self._buffered: dict[int, list[Chunk]] = {}
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._last_arrival = time.monotonic()

    @property
    def has_buffered(self) -> bool:
        """Whether there are records to take."""
        return bool(self._buffered)

    @property
    def idle_seconds(self) -> float:
        """Seconds since records arrived or other offsets were requested."""
        return time.monotonic() - self._last_arrival

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read exactly these partitions, each from its offset on; those already at their offset continue."""
        if self._requested != offsets:
            self._requested = dict(offsets)
            self.reset_idle()
        for partition in self._next.keys() - offsets.keys():
            self._drop_partition(partition)
        moved = [partition for partition, offset in offsets.items() if self._find_next_offset(partition) != offset]
        for partition in moved:
            self._drop_partition(partition)
            self._next[partition] = offsets[partition]
        if moved:
            self._consumer.incremental_assign([TopicPartition(self._topic, partition, offsets[partition]) for partition in moved])

    def reset_idle(self) -> None:
        """Start `idle_seconds` again from zero."""
        self._last_arrival = time.monotonic()
        self.is_out_of_range = False

    def pull(self, max_records: int, max_bytes: int) -> bool:
        """Buffer what has arrived, up to about the limits; returns whether there were records. Raises KafkaException."""
        records, size = 0, 0
        while records < max_records and size < max_bytes:
            messages = self._consumer.consume(min(max_records - records, _MESSAGES_A_PULL), 0)
            if not messages:
                break
            for chunk in self._buffer(messages):
                records += len(chunk.values)
                size += chunk.values.nbytes
        if records:
            self.reset_idle()
        return records > 0

    def check_no_gap(self, offsets: Mapping[int, int]) -> None:
        """Raise DataError if a partition ends beyond its offset without a record at it."""
        for partition, offset in offsets.items():
            if partition not in self._buffered and self._ends.get(partition, offset) > offset:
                raise _build_gap_error(self._topic, partition, offset, self._ends[partition])

    def take(self, max_records: int, max_bytes: int) -> list[tuple[int, Chunk]]:
        """Buffered records with their partition, within the limits; at least one if any is buffered."""
        taken: list[tuple[int, Chunk]] = []
        for partition in list(self._buffered):
            if max_records <= 0 or (max_bytes <= 0 and taken):
                break
            chunks = self._take_run(partition, max_records, max_bytes)
            max_records -= sum(len(chunk.values) for chunk in chunks)
            max_bytes -= sum(chunk.values.nbytes for chunk in chunks)
            taken += [(partition, chunk) for chunk in chunks]
        return taken

    def _take_run(self, partition: int, max_records: int, max_bytes: int) -> list[Chunk]:
        """The next records of one partition, at least one; the rest of the partition moves behind the others."""
        buffered, taken = self._buffered.pop(partition), list[Chunk]()
        while buffered and max_records > 0 and (max_bytes > 0 or not taken):
            chunk = buffered[0]
            sizes = np.cumsum(pc.fill_null(pc.binary_length(chunk.values), 0).to_numpy())
            fitting = int(np.searchsorted(sizes[:max_records], max_bytes, side="right"))
            if fitting == 0 and not taken:
                fitting = 1
            if fitting < len(sizes):
                if fitting:
                    taken.append(chunk.slice(0, fitting))
                    buffered[0] = chunk.slice(fitting, len(sizes) - fitting)
                break
            taken.append(buffered.pop(0))
            max_records -= fitting
            max_bytes -= int(sizes[-1])
        if buffered:
            self._buffered[partition] = buffered
        return taken

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _find_next_offset(self, partition: int) -> int | None:
        """The offset of the next record to take."""
        return self._buffered[partition][0].first if partition in self._buffered else self._next.get(partition)

    def _drop_partition(self, partition: int) -> None:
        """Stop reading the partition and discard its buffer."""
        if self._next.pop(partition, None) is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        self._buffered.pop(partition, None)
        self._ends.pop(partition, None)

    def _buffer(self, messages: list[Message]) -> list[Chunk]:
        """Buffer the consumer's messages as columns and return the new chunks."""
        errors = [message for message in messages if message.error() is not None] if any(map(Message.error, messages)) else []
        records = [message for message in messages if message.error() is None] if errors else messages
        chunks = []
        for partition, messages_of in groupby(records, Message.partition):
            if partition in self._next:  # else dropped meanwhile
                chunks.append(self._make_chunk(partition, list(messages_of)))
                self._buffered.setdefault(partition, []).append(chunks[-1])
        self._handle_errors(errors)
        return chunks

    def _make_chunk(self, partition: int, run: list[Message]) -> Chunk:
        expected, first, last = self._next[partition], run[0].offset(), run[-1].offset()
        assert first is not None
        assert last is not None
        if first != expected or last - first + 1 != len(run):
            raise _build_gap_error(self._topic, partition, expected, first if first != expected else last)
        self._next[partition] = last + 1
        return Chunk(
            first,
            pa.array([timestamp_ms for _, timestamp_ms in map(Message.timestamp, run)], pa.int64()),
            pa.array(list(map(Message.key, run)), pa.binary()),
            pa.array(list(map(Message.value, run)), pa.binary()),
        )

    def _handle_errors(self, errors: Iterable[Message]) -> None:
        for message in errors:
            error, partition, offset = message.error(), message.partition(), message.offset()
            assert error is not None, "a message without an error"
            if partition is None or offset is None:
                raise KafkaException(error)
            if error.code() == KafkaError._PARTITION_EOF:
                self._ends[partition] = offset
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._drop_partition(partition)
                self.is_out_of_range = True
            else:
                raise KafkaException(error)


def _build_gap_error(topic: str, partition: int, expected: int, found: int) -> DataError:
    return DataError(
        f"{topic}[{partition}]: offset {expected} is next, but there is no record before {found}: "
        "the topic is compacted, or a producer writes to it in transactions",
        next_step="write to it without transactions only, and set cleanup.policy=delete (`soundlake topics create --repair`)",
    )
