"""Who watches the sink hears of each batch and of the lag; the sink itself knows nothing of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from soundlake.sink.batch import DecodedBatch


@dataclass(frozen=True)
class StoredBatch:
    """One batch that bronze now holds, `rejected` by reason; `delays_seconds`: of each record, from its time in the log to the commit."""

    topic: str
    records: int
    bytes: int
    events: int
    rejected: Mapping[str, int]
    decode_seconds: float
    commit_seconds: float
    delays_seconds: np.ndarray


class SinkObserver(Protocol):
    """Hears how the sink's work goes."""

    def record_batch(self, batch: StoredBatch) -> None:
        """A batch is in bronze."""

    def record_lag(self, topic: str, behind: Mapping[int, int]) -> None:
        """So many records of each partition wait, as the log has just told."""

    def record_error(self, error: Exception) -> None:
        """Something went wrong that the sink waits out."""


class NoOpObserver:
    """The observer of those who do not want to know."""

    def record_batch(self, batch: StoredBatch) -> None:
        """Nothing."""

    def record_lag(self, topic: str, behind: Mapping[int, int]) -> None:
        """Nothing."""

    def record_error(self, error: Exception) -> None:
        """Nothing."""


def describe_batch(decoded_batch: DecodedBatch, *, events: int, commit_seconds: float, stored_at: datetime) -> StoredBatch:
    """A batch that was stored at that moment."""
    return StoredBatch(
        topic=decoded_batch.topic,
        records=len(decoded_batch.batch),
        bytes=decoded_batch.batch.values.nbytes,
        events=events,
        rejected={found["values"]: found["counts"] for found in decoded_batch.decoded.rejected["reason"].value_counts().to_pylist()},
        decode_seconds=decoded_batch.decode_seconds,
        commit_seconds=commit_seconds,
        delays_seconds=stored_at.timestamp() - decoded_batch.batch.timestamps_ms.to_numpy() / 1_000,
    )
