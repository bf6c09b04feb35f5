"""Who watches the sink hears of each batch and of the lag; the sink itself knows nothing of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from soundlake.sink.batch import JudgedBatch


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

    def batch_stored(self, batch: StoredBatch) -> None:
        """A batch is in bronze."""

    def lag_seen(self, topic: str, behind: Mapping[int, int]) -> None:
        """So many records of each partition wait, as the log has just told."""

    def error_met(self, error: Exception) -> None:
        """Something went wrong that the sink waits out."""


class Unobserved:
    """The observer of those who do not want to know."""

    def batch_stored(self, batch: StoredBatch) -> None:
        """Nothing."""

    def lag_seen(self, topic: str, behind: Mapping[int, int]) -> None:
        """Nothing."""

    def error_met(self, error: Exception) -> None:
        """Nothing."""


def describe_batch(judged: JudgedBatch, *, events: int, commit_seconds: float, stored_at: datetime) -> StoredBatch:
    """A batch that was stored at that moment."""
    return StoredBatch(
        topic=judged.topic,
        records=len(judged.batch),
        bytes=judged.batch.values.nbytes,
        events=events,
        rejected={found["values"]: found["counts"] for found in judged.decoded.rejected["reason"].value_counts().to_pylist()},
        decode_seconds=judged.decode_seconds,
        commit_seconds=commit_seconds,
        delays_seconds=stored_at.timestamp() - judged.batch.timestamps_ms.to_numpy() / 1_000,
    )
