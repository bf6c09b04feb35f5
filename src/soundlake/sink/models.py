"""Limits of a batch, checkpoints within it, and the report of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

SINK_LOCK = "sink.lock"
"""A file in the home: the process that writes this home's log to bronze holds its lock."""

LARGEST_BATCH_BYTES = 1024**3
"""Half of what a binary column of Arrow can hold (31 bits of bytes)."""

CHECKPOINTS = ("files_written", "rejected_committed", "events_committed", "offset_moved")
"""The points between the steps of a batch, in order; files_written comes once for each table that is committed to."""


@dataclass(frozen=True)
class SinkLimits:
    """A batch is closed at the first limit it reaches: events, bytes of their values, or age of its first record."""

    max_events: int = 200_000
    max_bytes: int = 128 * 1024 * 1024
    max_seconds: float = 2.0


@dataclass
class TopicReport:
    """What a run stored of one topic.

    `forgotten`: records of forgotten listeners, which it dropped. `held_back`: offsets that an open transaction kept from it when all
    before was stored.
    """

    events: int = 0
    rejected: int = 0
    forgotten: int = 0
    batches: int = 0
    held_back: int = 0


@dataclass
class SinkReport:
    """What a run stored, by topic; updated while it runs."""

    topics: dict[str, TopicReport] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """Rows written to event tables."""
        return sum(topic.events for topic in self.topics.values())

    @property
    def rejected(self) -> int:
        """Records written to bronze/rejected."""
        return sum(topic.rejected for topic in self.topics.values())

    @property
    def forgotten(self) -> int:
        """Records of forgotten listeners that were dropped."""
        return sum(topic.forgotten for topic in self.topics.values())

    @property
    def held_back(self) -> int:
        """Offsets that open transactions keep from the sink; only known after a drain."""
        return sum(topic.held_back for topic in self.topics.values())

    @property
    def batches(self) -> int:
        """Commits to event tables."""
        return sum(topic.batches for topic in self.topics.values())
