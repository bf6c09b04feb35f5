"""What bounds a batch, and what a run of the sink did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

SINK_LOCK = "sink.lock"
"""A file in the home: the process that writes this home's log to bronze holds its lock."""

LARGEST_BATCH_BYTES = 1024**3
"""Arrow counts the bytes of a binary column in 31 bits."""

Checkpoint = Callable[[str], None]
"""Told the name of each point that a batch passes: see CHECKPOINTS."""

CHECKPOINTS = ("files_written", "rejected_committed", "events_committed", "offset_moved")
"""The points between the steps of a batch, in order; files_written is passed once for each table that gets rows."""


@dataclass(frozen=True)
class SinkLimits:
    """A batch is closed by whichever comes first: its events, the bytes of their values, or the age of its first record."""

    max_events: int = 200_000
    max_bytes: int = 128 * 1024 * 1024
    max_seconds: float = 2.0


@dataclass
class TopicReport:
    """What a run did for one topic."""

    events: int = 0
    rejected: int = 0
    batches: int = 0


@dataclass
class SinkReport:
    """What a run did, by topic; it grows while the run goes on."""

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
    def batches(self) -> int:
        """Commits to event tables."""
        return sum(topic.batches for topic in self.topics.values())
