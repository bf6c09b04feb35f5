"""An event log in the memory of one process: the fake for tests and examples."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from soundlake.broker.local_polling import poll_by_fetching
from soundlake.broker.partitioner import assign_partitions
from soundlake.broker.protocol import Clock, Delivery, OffsetRange, Records, read_utc_now, to_epoch_ms
from soundlake.broker.validation import check_partition_count, check_partitions_exist, check_same_length, find_too_large
from soundlake.contract import Topic

Row = tuple[int, bytes | None, bytes | None]


@dataclass
class _Partition:
    begin: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def held(self) -> OffsetRange:
        return OffsetRange(self.begin, self.begin + len(self.rows))


class MemoryBroker:
    """Broker that keeps its records in lists; one thread may append while another reads. `commits` holds what `commit` published."""

    preferred_append_records = 10_000

    def __init__(self, clock: Clock = read_utc_now) -> None:
        self._clock = clock
        self._id = str(uuid.uuid4())
        self._topics: dict[str, list[_Partition]] = {}
        self.commits: dict[tuple[str, str], dict[int, int]] = {}
        self._appends = itertools.count()

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Create the topics that do not exist."""
        check_partition_count(partitions)
        for topic in topics:
            self._topics.setdefault(topic.name, [_Partition() for _ in range(partitions)])

    def log_id(self, topic: str) -> str:
        """The random id of this log."""
        self._find(topic)
        return self._id

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending."""
        return list(range(len(self._find(topic))))

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """The offsets that each partition holds now."""
        return {number: partition.held for number, partition in enumerate(self._find(topic))}

    def count_held_back(self, topic: str) -> dict[int, int]:
        """Nothing: this log has no transactions."""
        self._find(topic)
        return {}

    def check_deletes_by_age(self, topic: str) -> None:
        """Nothing to refuse: this log deletes only when it is trimmed."""
        self._find(topic)

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records, each to the partition of its key."""
        check_same_length(keys, values)
        partitions, now = self._find(topic), to_epoch_ms(self._clock())
        failed = find_too_large(np.array([len(key or b"") + len(value or b"") for key, value in zip(keys, values, strict=True)], np.int64))
        if not values:
            return Delivery(0, {}, {})
        numbers = assign_partitions(pa.array(keys, pa.binary()), len(partitions), without_key=next(self._appends))
        for index, (number, key, value) in enumerate(zip(numbers, keys, values, strict=True)):
            if index not in failed:
                partitions[number].rows.append((now, key, value))
        return Delivery(len(values), failed, {})

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on."""
        log = self._find(topic, partition)[partition]
        log.held.check(topic, partition, offset)
        rows: list[Row] = []
        for row in log.rows[offset - log.begin : offset - log.begin + max_records]:
            max_bytes -= len(row[2] or b"")
            if rows and max_bytes < 0:
                break
            rows.append(row)
        times, keys, values = zip(*rows, strict=True) if rows else ((), (), ())
        offsets = pa.array(range(offset, offset + len(rows)), pa.int64())
        columns = (offsets, pa.array(times, pa.int64()), pa.array(keys, pa.binary()), pa.array(values, pa.binary()))
        return Records(topic, partition, self._id, *columns, next_offset=offset + len(rows))

    def poll(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
        """The records of these partitions, each from its offset on."""
        return poll_by_fetching(self, topic, offsets, max_records=max_records, max_bytes=max_bytes)

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records below an offset of each partition."""
        for number, offset in before.items():
            log = self._find(topic, number)[number]
            count = min(max(offset - log.begin, 0), len(log.rows))
            del log.rows[:count]
            log.begin += count

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Add the next offset of each partition to `commits[group, topic]`."""
        self._find(topic, *offsets)
        self.commits.setdefault((group, topic), {}).update(offsets)

    def close(self) -> None:
        """Does nothing."""

    def _find(self, topic: str, *numbers: int) -> list[_Partition]:
        partitions = self._topics.get(topic, [])
        check_partitions_exist(topic, len(partitions), numbers)
        return partitions
