"""What every event log offers: partitioned topics, append with a delivery report, fetch from an offset."""

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
"""Tells the time, in UTC."""


def read_utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def to_epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970 in UTC, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Records:
    """A run of records of one partition, in offset order, as columns of equal length.

    `log_id` is the log they were read from, as `Broker.log_id` names it. `offsets` int64 without gaps, `timestamps_ms` int64
    (the broker's own clock at append, UTC epoch milliseconds; it may step back), `keys` and `values` binary, null where the
    record has none.
    """

    topic: str
    partition: int
    log_id: str
    offsets: pa.Array
    timestamps_ms: pa.Array
    keys: pa.Array
    values: pa.Array

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class OffsetRange:
    """The offsets a partition holds: `begin` is the first one kept, `end` the next one to be written."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def check(self, topic: str, partition: int, offset: int) -> None:
        """Raise OffsetGap if `offset` is below the range, LogReplaced if it is beyond its end."""
        if offset < self.begin:
            raise OffsetGap(topic, partition, offset, self.begin)
        if offset > self.end:
            raise LogReplaced(topic, partition, offset - 1, self.end)


@dataclass(frozen=True)
class Delivery:
    """What became of the records of one append, by their index.

    `failed` names those the log refused, with the reason: they are not in it. `unsure` names those whose fate is
    unknown (the connection broke): they may be in it. All others are acknowledged and durable.
    """

    count: int
    failed: Mapping[int, str]
    unsure: Mapping[int, str]

    @property
    def acknowledged(self) -> int:
        """How many records are durable."""
        return self.count - len(self.failed) - len(self.unsure)


@dataclass(frozen=True)
class Share:
    """What one reader of a log has to read: partitions by topic, or all there are. Once `over` is set others wait for it to let go."""

    partitions: Mapping[str, frozenset[int]] | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def covers(self, topic: str, partition: int) -> bool:
        """Whether the partition is part of it."""
        return self.partitions is None or partition in self.partitions.get(topic, ())


class Membership(Protocol):
    """A place among those who share the partitions of some topics. Where to begin in them is not its business."""

    def hold(self, stop: threading.Event, deadline: float | None = None) -> AbstractContextManager[Share | None]:
        """The share, as long as the block lasts; None if `stop` is set, or the deadline (of `time.monotonic`) is over, before there is one.

        Raises Unavailable if none comes in time, DataError if another took this place.
        """

    def commit(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember the next offset of each partition for lag monitors; nobody starts from it."""

    def close(self) -> None:
        """Leave the place."""


class Broker(Protocol):
    """An event log. Appends of one key land in one partition in order; what is acknowledged survives a crash.

    Every method may raise Unavailable, TopicMissing for an unknown topic, and UsageError for an unknown partition.
    """

    @property
    def records_at_once(self) -> int:
        """How many records an append brings at best: enough that waiting for its end costs little, few enough for memory."""

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Make the topics that do not exist; leave the others as they are."""

    def log_id(self, topic: str) -> str:
        """The id of the log behind the topic: another one once the topic, or the file, is made anew."""

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending."""

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """What each partition holds now."""

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records, the partition chosen by the key; returns when the fate of each is known, or known to be unsure.

        Raises a Retryable only if nothing of this call is in the log, so that the same call may be made again.
        """

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on: at least one if there is any, none at the end of the log.

        At most `max_records`, and no more than `max_bytes` of values after the first; it may be fewer than the limits allow.
        Raises OffsetGap if `offset` is below what the log still holds, LogReplaced if it is beyond its end.
        """

    def poll(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
        """What has arrived of these partitions, each from its offset on, without waiting; the runs of a partition in their order.

        At most `max_records` in all; of values about `max_bytes` in all, a run holds at least one record whatever its size. From a log
        at a distance records arrive a moment after their append: who wants to know how far it reaches asks `offsets`.
        Raises as `fetch` does, for a log at a distance once it is heard of.
        """

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Give up the records below an offset of each partition; offsets never begin anew, an end is never passed."""

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember the next offset of each partition for lag monitors; nobody starts from it."""

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """What `commit` last remembered."""

    def close(self) -> None:
        """Let go of files and connections."""
