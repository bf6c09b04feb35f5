"""The progress of a running query, as Spark reports it after each micro-batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.streaming.query import StreamingQuery


@dataclass(frozen=True)
class QueryProgress:
    """What a query reported at the end of one micro-batch; idle queries report nothing.

    `behind`: unread records of each topic; `dropped_rows` arrived after the watermark.
    """

    query: str
    reported_at: datetime
    input_rows: int
    batch_seconds: float
    state_rows: int
    behind: Mapping[str, int]
    dropped_rows: int = 0


ObserveProgress = Callable[[QueryProgress], None]


def discard_progress(_: QueryProgress) -> None:
    """No-op observer."""


class ProgressReporter:
    """Passes each progress report of a query to an observer, once."""

    def __init__(self, observe: ObserveProgress) -> None:
        self._observe = observe
        self._newest: dict[str, int] = {}

    def report_new(self, name: str, query: StreamingQuery) -> int:
        """Pass on the reports since the last call; returns the records read in these batches."""
        return sum(
            self.report(name, progress.json) for progress in query.recentProgress if progress["batchId"] > self._newest.get(name, -1)
        )

    def report(self, name: str, text: str) -> int:
        """Pass on one report, given as JSON, and remember its batch; returns the records read in it."""
        known = json.loads(text)
        self._newest[name] = known["batchId"]
        progress = QueryProgress(
            query=name,
            reported_at=datetime.fromisoformat(known["timestamp"]),
            input_rows=known["numInputRows"],
            batch_seconds=known["durationMs"].get("triggerExecution", 0) / 1_000,
            state_rows=sum(operator["numRowsTotal"] for operator in known["stateOperators"]),
            behind=_find_behind(known["sources"]),
            dropped_rows=sum(operator.get("numRowsDroppedByWatermark", 0) for operator in known["stateOperators"]),
        )
        self._observe(progress)
        return progress.input_rows


def _find_behind(sources: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """Records between what a source has read and what it last saw in the log; nothing for a source that does not report offsets."""
    behind: dict[str, int] = {}
    for source in sources:
        read, seen = _read_offsets(source.get("endOffset")), _read_offsets(source.get("latestOffset"))
        for topic in read.keys() & seen.keys():
            waiting = sum(max(0, end - read[topic].get(partition, 0)) for partition, end in seen[topic].items())
            behind[topic] = behind.get(topic, 0) + waiting
    return behind


def _read_offsets(offsets: object) -> dict[str, dict[str, int]]:
    return offsets if isinstance(offsets, dict) else {}
