"""Reading ahead: librdkafka fetches a topic in the background; the caller takes what has arrived, as columns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import groupby

import numpy as np
import pyarrow.compute as pc
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from soundlake.broker.kafka.chunk import Chunk, make_chunk, make_empty_chunk
from soundlake.errors import Unavailable

SETTINGS: dict[str, str | int | bool] = {
    "group_id": "soundlake-reader",  # required by librdkafka; no offset is committed under it
    "enable_auto_commit": False,
    "enable_auto_offset_store": False,
    "auto_offset_reset": "error",  # a missing offset is an error, never skipped
    "enable_partition_eof": True,
    "isolation_level": "read_committed",  # records of aborted and of open transactions are not delivered, and end offsets exclude them
    "fetch_queue_backoff_ms": 20,
    "fetch_wait_max_ms": 200,  # a newly assigned partition may wait that long behind an idle request
    "queued_min_messages": 200_000,
    "queued_max_messages_kbytes": 32 * 1024,  # of all partitions together; some tenths of a second at the sink's highest rate
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
}

_MESSAGES_A_PULL = 10_000


class KafkaReader:
    """The records of one topic, of each partition exactly from the requested offset on.

    Offsets that hold no record (a transaction's marker, an aborted record) are passed over, also at the end of a partition.
    `is_out_of_range`: the log does not hold a requested offset; its offset range says why.
    `is_in_doubt`: the consumer has read a partition from elsewhere before, and its first record is not the requested one, so it may
    be one of before: the caller opens another reader.
    """

    def __init__(self, consumer: Consumer, topic: str, topic_id: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self.topic_id = topic_id
        self.is_out_of_range = False
        self.is_in_doubt = False
        self._requested: dict[int, int] = {}
        self._buffered: dict[int, list[Chunk]] = {}
        self._next: dict[int, int] = {}
        self._left: set[int] = set()
        self._moved: set[int] = set()
        self._gaps: dict[int, int] = {}
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
        self._moved |= self._left.intersection(moved)
        if moved:
            self._consumer.incremental_assign([TopicPartition(self._topic, partition, offsets[partition]) for partition in moved])

    def reset_idle(self) -> None:
        """Start `idle_seconds` again from zero."""
        self._last_arrival = time.monotonic()
        self.is_out_of_range = False

    def pull(self, max_records: int, max_bytes: int) -> bool:
        """Buffer what has arrived, up to about the limits; returns whether there was anything. Raises KafkaException."""
        records, size, has_moved = 0, 0, False
        while records < max_records and size < max_bytes:
            messages = self._consumer.consume(min(max_records - records, _MESSAGES_A_PULL), 0)
            if not messages:
                break
            for chunk in self._buffer(messages):
                has_moved = True
                records += len(chunk.values)
                size += chunk.values.nbytes
        if has_moved:
            self.reset_idle()
        return has_moved

    def take_gaps(self) -> dict[int, int]:
        """The first offset of each partition that was passed over without a record since the last call."""
        gaps, self._gaps = self._gaps, {}
        return gaps

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
            if fitting == 0 and not any(len(chunk.values) for chunk in taken):
                fitting = min(1, len(sizes))
            if fitting < len(sizes):
                if fitting:
                    first, buffered[0] = chunk.split(fitting)
                    taken.append(first)
                break
            taken.append(buffered.pop(0))
            max_records -= fitting
            max_bytes -= int(sizes[-1]) if fitting else 0
        if buffered:
            self._buffered[partition] = buffered
        return taken

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _find_next_offset(self, partition: int) -> int | None:
        """The offset of the next record to take."""
        return self._buffered[partition][0].begin if partition in self._buffered else self._next.get(partition)

    def _drop_partition(self, partition: int) -> None:
        """Stop reading the partition and discard its buffer."""
        if self._next.pop(partition, None) is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
            self._left.add(partition)
        self._buffered.pop(partition, None)
        self._moved.discard(partition)
        self._gaps.pop(partition, None)

    def _buffer(self, messages: list[Message]) -> list[Chunk]:
        """Buffer the consumer's messages as columns and return the new chunks."""
        errors = [message for message in messages if message.error() is not None] if any(map(Message.error, messages)) else []
        records = [message for message in messages if message.error() is None] if errors else messages
        chunks = list[Chunk]()
        for partition, messages_of in groupby(records, Message.partition):
            if partition in self._next:  # else dropped meanwhile
                chunks += self._add(partition, make_chunk(self._next[partition], list(messages_of)))
        for partition, end in self._handle_errors(errors):
            if partition in self._next and end > self._next[partition]:
                chunks += self._add(partition, make_empty_chunk(self._next[partition], end))
        return chunks

    def _add(self, partition: int, chunk: Chunk) -> list[Chunk]:
        """Buffer a chunk that continues its partition."""
        is_moved = partition in self._moved
        self._moved.discard(partition)
        if is_moved and (not len(chunk.offsets) or chunk.offsets[0] != chunk.begin):
            self.is_in_doubt = True
        if self.is_in_doubt:
            return []
        if len(chunk.offsets) and (chunk.offsets[0] < chunk.begin or (np.diff(chunk.offsets) <= 0).any()):
            raise _build_order_error(self._topic, partition, chunk)
        if chunk.has_gap:
            self._gaps.setdefault(partition, chunk.begin)
        self._next[partition] = chunk.end
        self._buffered.setdefault(partition, []).append(chunk)
        return [chunk]

    def _handle_errors(self, errors: Iterable[Message]) -> list[tuple[int, int]]:
        """Raise KafkaException, or note an offset out of range; returns the ends that were reached, with their partition."""
        ends = []
        for message in errors:
            error, partition, offset = message.error(), message.partition(), message.offset()
            assert error is not None, "a message without an error"
            if partition is None or offset is None:
                raise KafkaException(error)
            if error.code() == KafkaError._PARTITION_EOF:
                ends.append((partition, offset))
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._drop_partition(partition)
                self.is_out_of_range = True
            else:
                raise KafkaException(error)
        return ends


def _build_order_error(topic: str, partition: int, chunk: Chunk) -> Unavailable:
    return Unavailable(
        f"{topic}[{partition}]: offset {chunk.begin} is next, but {chunk.offsets[0]} to {chunk.offsets[-1]} came out of order",
        next_step="run it again; it reads from its position",
    )
