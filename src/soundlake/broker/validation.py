"""Checks of arguments and records that every event log makes, with the same messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from soundlake.errors import TopicMissing, UsageError

MAX_RECORD_BYTES = 1024 * 1024
"""Limit of key and value of one record together: Kafka's default. A larger record fails; the others of its append do not."""

TOO_LARGE = f"larger than {MAX_RECORD_BYTES} bytes, the limit of a record"
"""The reason of such a failure."""


def check_partition_count(partitions: int) -> None:
    """Raise UsageError unless a topic can have that many partitions."""
    if partitions < 1:
        raise UsageError(f"{partitions} partitions: a topic has at least one", next_step="set SOUNDLAKE_TOPIC_PARTITIONS to 1 or more")


def check_partitions_exist(topic: str, count: int, numbers: Iterable[int] = ()) -> None:
    """Raise TopicMissing if the topic has no partitions, UsageError if one of `numbers` is none of its `count` partitions."""
    if not count:
        raise TopicMissing(topic)
    for number in numbers:
        if not 0 <= number < count:
            raise UsageError(f"{topic} has no partition {number}: they are 0 to {count - 1}")


def check_same_length(keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
    """Raise UsageError unless there is a key (or None) for each value (or None)."""
    if len(keys) != len(values):
        raise UsageError(f"{len(keys)} keys for {len(values)} values: each record needs both, or None")


def find_too_large(sizes: npt.NDArray[np.int64]) -> dict[int, str]:
    """The records over MAX_RECORD_BYTES by index, with the reason; `sizes` is key and value together."""
    return dict.fromkeys(np.flatnonzero(sizes > MAX_RECORD_BYTES).tolist(), TOO_LARGE)
