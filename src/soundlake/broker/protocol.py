"""What every event log offers: partitioned topics, append with a delivery report, fetch from an offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from soundlake.contract import Topic


@dataclass(frozen=True)
class Records:
    """A run of records of one partition, in offset order, as columns of equal length.

    `offsets` int64 without gaps, `timestamps_ms` int64 (the broker's own clock at append, UTC epoch milliseconds),
    `keys` and `values` binary, null where the record has none.
    """

    topic: str
    partition: int
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


class Broker(Protocol):
    """An event log. Appends of one key land in one partition in order; what is acknowledged survives a crash."""

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Make the topics that do not exist; leave the others as they are."""

    def log_id(self, topic: str) -> str:
        """The id of the log behind the topic: another one once the topic, or the file, is made anew."""

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending. Raises UsageError for an unknown topic."""

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """What each partition holds now."""

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records, the partition chosen by the key; returns when the fate of each is known."""

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on, at least one if there is any, none at the end of the log.

        Raises OffsetGap if `offset` is below what the log still holds.
        """

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Remember the next offset of each partition for lag monitors; nobody starts from it."""

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """What `commit` last remembered."""

    def close(self) -> None:
        """Let go of files and connections."""
