"""Which rejected records are meant, what is told of them, and what became of a replay."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow.compute as pc

Coordinates = tuple[str, str, int, int]
"""Where a record stood: id of the log, topic, partition, offset."""


class Step(StrEnum):
    """How far the replay of a record is, as bronze/replays says it; the last one counts."""

    BEGUN = "begun"  # it may be in the log: looked for before anything else is done
    PUBLISHED = "published"
    FAILED = "failed"  # it is not in the log, and may be replayed
    UNKNOWN = "unknown"  # the log that could tell is gone: counts as published unless asked for again


@dataclass(frozen=True)
class DeadLetterFilter:
    """The rejected records that have one of the reasons and one of the topics, if any are named, and were rejected since then."""

    reasons: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def rows_where(self) -> pc.Expression:
        """The same as a filter on bronze/rejected."""
        found = pc.scalar(True)  # noqa: FBT003  # the neutral element of `and`
        if self.reasons:
            found = found & pc.field("reason").isin(list(self.reasons))
        if self.topics:
            found = found & pc.field("_topic").isin(list(self.topics))
        return found if self.since is None else found & (pc.field("_ingested_at") >= pc.scalar(self.since))


@dataclass(frozen=True)
class DeadLetter:
    """One rejected record: where it stood, when and why it was rejected, its size and beginning, and when it was replayed (UTC)."""

    topic: str
    partition: int
    offset: int
    log: str
    rejected_at: datetime
    reason: str
    detail: str
    event_id: str | None
    key: str
    bytes: int
    preview: str
    replay: Step | None
    replayed_at: datetime | None


@dataclass(frozen=True)
class Listing:
    """The records that are meant, counted, and the newest of them."""

    total: int
    replayed: int
    by_reason: dict[str, int]
    by_topic: dict[str, int]
    records: tuple[DeadLetter, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)


@dataclass
class ReplayReport:
    """What became of the records that were meant; each is counted once, `found` and `lost` tell of an earlier run that was cut short."""

    replayed: int = 0
    replayed_before: int = 0
    still_refused: Counter[str] = field(default_factory=Counter)
    rows_of_imports: int = 0
    left_out: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unsure: int = 0
    found_of_an_earlier_run: int = 0
    lost_of_an_earlier_run: int = 0
    unknown_of_an_earlier_run: int = 0

    @property
    def is_whole(self) -> bool:
        """Nothing that was offered to the log was not taken, or may not have been."""
        return not self.failed and not self.unsure

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)
