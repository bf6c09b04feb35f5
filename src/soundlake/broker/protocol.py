"""The interface of every event log: partitioned topics, append with a delivery report, fetch from an offset."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pyarrow as pa

from soundlake.contract import Topic
from soundlake.errors import LogReplaced, OffsetGap

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Clock = Callable[[], datetime]
"""Returns the current time in UTC."""


def read_utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def to_epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Records:
    """Consecutive records of one partition in offset order, as columns of equal length.

    `log_id` is the log they were read from (`Broker.log_id`). `offsets` is int64, ascending; an offset that it leaves out holds no record
    (a transaction's marker, an aborted record). `timestamps_ms` is int64, the broker's own clock at the append in UTC epoch milliseconds
    (it may step back); `keys` and `values` are binary, null where the record has none. `next_offset` is where reading continues: behind
    the last record, or further if no record follows before it.
    """

    topic: str
    partition: int
    log_id: str
    offsets: pa.Array
    timestamps_ms: pa.Array
    keys: pa.Array
    values: pa.Array
    next_offset: int

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class OffsetRange:
    """The offsets a partition holds: `begin` is the first one kept, `end` the next one to be written.

    An open transaction ends the range: what it and later producers have written is not readable yet (`Broker.count_held_back`).
    """

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def check(self, topic: str, partition: int, offset: int) -> None:
        """Raise OffsetGap if `offset` is below the range, LogReplaced if it is beyond the end."""
        if offset < self.begin:
            raise OffsetGap(topic, partition, offset, self.begin)
        if offset > self.end:
            raise LogReplaced(topic, partition, offset - 1, self.end)


@dataclass(frozen=True)
class Delivery:
    """The outcome of one append, by index of the record.

    `failed`: refused by the log, with the reason; not in the log. `unsure`: the connection or the disk failed before an answer; in the
    log or not. All other records are acknowledged and durable.
    """

    count: int
    failed: Mapping[int, str]
    unsure: Mapping[int, str]

    @property
    def acknowledged(self) -> int:
        """How many records are durable."""
        return self.count - len(self.failed) - len(self.unsure)


@dataclass(frozen=True)
class Assignment:
    """The partitions that one reader reads, by topic; None means all. After `revoked` is set, other readers wait until it is released."""

    partitions: Mapping[str, frozenset[int]] | None = None
    revoked: threading.Event = field(default_factory=threading.Event)

    def covers(self, topic: str, partition: int) -> bool:
        """Whether the partition is part of the assignment."""
        return self.partitions is None or partition in self.partitions.get(topic, ())


class Membership(Protocol):
    """Membership in a group of readers that share the partitions of some topics. It does not decide where reading starts."""

    def hold(self, stop: threading.Event, deadline: float | None = None) -> AbstractContextManager[Assignment | None]:
        """Wait for an assignment and hold it for the block; None if `stop` is set or `deadline` (of `time.monotonic`) passes first.

        Raises Unavailable if there is no assignment in time, DataError if another reader has taken this membership.
        """

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Publish the next offset of each partition for lag monitors; no reader starts from it."""

    def close(self) -> None:
        """Leave the group."""


class Broker(Protocol):
    """An event log. Records with the same key go to one partition in order; acknowledged records survive a crash.

    Every method may raise Unavailable, TopicMissing for an unknown topic, and UsageError for an unknown partition.
    """

    @property
    def preferred_append_records(self) -> int:
        """The best number of records for one append: large enough to amortize the wait at its end, small enough for memory."""

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Create the topics that do not exist; existing ones stay unchanged."""

    def log_id(self, topic: str) -> str:
        """The id of the log behind the topic; it changes when the topic or the file is created again."""

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending."""

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """The offsets that each partition holds now."""

    def count_held_back(self, topic: str) -> dict[int, int]:
        """The number of offsets beyond the end of each partition that open transactions hold back; without any it is left out."""

    def check_deletes_by_age(self, topic: str) -> None:
        """Raise DataError if the log deletes records by key (compaction), so that a missing offset may be a lost record."""

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records, each to the partition of its key; returns when every record is acknowledged, failed or unsure.

        Raises a Retryable only if nothing of this call is in the log, so that the call can be repeated.
        """

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on: at least one if there is any, none at the end of the log; `next_offset` is the end then.

        Returns at most `max_records`, and no more than `max_bytes` of values after the first record; it may return fewer.
        Raises OffsetGap if `offset` is below the first offset kept, LogReplaced if it is beyond the end.
        """

    def poll(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
        """The records that have arrived of these partitions, each from its offset on, without waiting; in order within a partition.

        Returns at most `max_records` in all and about `max_bytes` of values in all; each `Records` has at least one, or only passes
        over offsets that hold none. A remote log delivers a record shortly after its append; `offsets` returns the true end. Raises the
        errors of `fetch`, a remote log once the server reports them.
        """

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records below an offset of each partition, at most up to the end; later records keep their offsets."""

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Publish the next offset of each partition for lag monitors; no reader starts from it."""

    def close(self) -> None:
        """Close files and connections."""
