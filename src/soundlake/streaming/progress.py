"""What Spark tells of a query while it runs, in the words of this project."""

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
    """What a query told of one micro-batch at its end. Idle ones are silent.

    `behind`: records of each topic that it had not read yet; `dropped_rows` came after the watermark.
    """

    query: str
    told_at: datetime
    input_rows: int
    batch_seconds: float
    state_rows: int
    behind: Mapping[str, int]
    dropped_rows: int = 0


ObserveProgress = Callable[[QueryProgress], None]


def ignore_progress(_: QueryProgress) -> None:
    """For those who do not want to know."""


class ProgressWatch:
    """Hands on what queries tell of their micro-batches, each once."""

    def __init__(self, observe: ObserveProgress) -> None:
        self._observe = observe
        self._newest: dict[str, int] = {}

    def look(self, name: str, query: StreamingQuery) -> int:
        """Hand on what the query has told since the last look; how many records it has read in these batches."""
        return sum(self.hear(name, told.json) for told in query.recentProgress if told["batchId"] > self._newest.get(name, -1))

    def hear(self, name: str, told: str) -> int:
        """Hand on what Spark tells of one micro-batch, as JSON, and note that it is known; the records of it."""
        known = json.loads(told)
        self._newest[name] = known["batchId"]
        progress = QueryProgress(
            query=name,
            told_at=datetime.fromisoformat(known["timestamp"]),
            input_rows=known["numInputRows"],
            batch_seconds=known["durationMs"].get("triggerExecution", 0) / 1_000,
            state_rows=sum(operator["numRowsTotal"] for operator in known["stateOperators"]),
            behind=_find_behind(known["sources"]),
            dropped_rows=sum(operator.get("numRowsDroppedByWatermark", 0) for operator in known["stateOperators"]),
        )
        self._observe(progress)
        return progress.input_rows


def _find_behind(sources: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """Records between what a source has read and what it last saw in the log; nothing for a source that does not tell."""
    behind: dict[str, int] = {}
    for source in sources:
        read, seen = _read_offsets(source.get("endOffset")), _read_offsets(source.get("latestOffset"))
        for topic in read.keys() & seen.keys():
            waiting = sum(max(0, end - read[topic].get(partition, 0)) for partition, end in seen[topic].items())
            behind[topic] = behind.get(topic, 0) + waiting
    return behind


def _read_offsets(told: object) -> dict[str, dict[str, int]]:
    return told if isinstance(told, dict) else {}
