"""What the sink reports of its work. Metrics implement `SinkObserver`; the sink does not depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from soundlake.sink.batch import DecodedBatch


@dataclass(frozen=True)
class StoredBatch:
    """One stored batch. `rejected`: counts by reason. `delays_seconds`: for each record, from its time in the log to the commit."""

    topic: str
    records: int
    bytes: int
    events: int
    rejected: Mapping[str, int]
    decode_seconds: float
    commit_seconds: float
    delays_seconds: np.ndarray


class SinkObserver(Protocol):
    """Is called by the sink as it works."""

    def record_batch(self, batch: StoredBatch) -> None:
        """A batch is in bronze."""

    def record_lag(self, topic: str, behind: Mapping[int, int]) -> None:
        """The number of records of each partition that are in the log and not yet in bronze."""

    def record_error(self, error: Exception) -> None:
        """An error that the sink may retry."""

    def record_stopped(self, topic: str, *, is_stopped: bool) -> None:
        """Whether the topic is stopped: its data does not allow to continue."""


class NoOpObserver:
    """Ignores every call."""

    def record_batch(self, batch: StoredBatch) -> None:
        """Nothing."""

    def record_lag(self, topic: str, behind: Mapping[int, int]) -> None:
        """Nothing."""

    def record_error(self, error: Exception) -> None:
        """Nothing."""

    def record_stopped(self, topic: str, *, is_stopped: bool) -> None:
        """Nothing."""


def describe_batch(batch: DecodedBatch, *, events: int, commit_seconds: float, stored_at: datetime) -> StoredBatch:
    """The report of a batch that was stored at that moment."""
    return StoredBatch(
        topic=batch.topic,
        records=len(batch.batch),
        bytes=batch.batch.values.nbytes,
        events=events,
        rejected={found["values"]: found["counts"] for found in batch.decoded.rejected["reason"].value_counts().to_pylist()},
        decode_seconds=batch.decode_seconds,
        commit_seconds=commit_seconds,
        delays_seconds=stored_at.timestamp() - batch.batch.timestamps_ms.to_numpy() / 1_000,
    )
