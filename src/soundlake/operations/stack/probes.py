"""What tells how far each service is: the log against the lake, the lake's newest commits, the age of the snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from soundlake.broker import Broker
from soundlake.contract import LIVE_TOPIC_OF_TYPE, TOPICS
from soundlake.errors import Unavailable
from soundlake.lake import Lake
from soundlake.operations.generator_state import load_state
from soundlake.operations.stack.status import Probe, Signs
from soundlake.reconciliation.log_vs_bronze import count_waiting
from soundlake.warehouse import read_published_at

_PROCESSED = tuple(topic.table for topic in LIVE_TOPIC_OF_TYPE.values())
_COUNTED_QUERIES = ("processed", "live")  # in real-time mode a batch lasts for minutes, and what it has read is told at its end

Positions = dict[str, dict[int, int]]


def make_probes(home: Path, open_broker: Callable[[], Broker], open_lake: Callable[[], Lake], warehouse: Path) -> dict[str, Probe]:
    """By service; what a probe needs is opened when it is asked."""
    return {
        "sink": lambda: _probe_sink(open_broker(), open_lake()),
        "stream": lambda: _probe_stream(home / "stream" / "checkpoints", open_broker, open_lake()),
        "generator": lambda: _probe_generator(home),
        "transform": lambda: Signs(fresh_seconds=_measure_age(read_published_at(warehouse))),
    }


def _probe_sink(broker: Broker, lake: Lake) -> Signs:
    with closing(broker):
        newest = _find_newest(lake, [topic.table for topic in TOPICS], "bronze")
        return Signs(count_waiting(broker, lake), _measure_age(newest))


def _probe_stream(checkpoints: Path, open_broker: Callable[[], Broker], lake: Lake) -> Signs:
    """The lag is that of the query that is furthest behind."""
    positions = [read_positions(checkpoints / query) for query in _COUNTED_QUERIES]
    with closing(open_broker()) as broker:
        behind = [_count_behind(broker, position) for position in positions if position]
    try:
        newest = _find_newest(lake, _PROCESSED, "processed")
    except Unavailable:  # before its first start there are no such tables
        newest = None
    return Signs(max(behind, default=None), _measure_age(newest))


def read_positions(checkpoint: Path) -> Positions:
    """Up to where the last ended batch of a query read: by topic and partition the offset that comes next; empty before the first."""
    ended = [int(path.name) for path in (checkpoint / "commits").glob("[0-9]*")]
    try:
        told = (checkpoint / "offsets" / str(max(ended))).read_text(encoding="utf-8")
    except (ValueError, FileNotFoundError):  # no batch has ended, or it was forgotten meanwhile
        return {}
    by_topic = json.loads(told.splitlines()[-1])  # after the form's version and the batch's settings, a line for the one source
    return {topic: {int(partition): offset for partition, offset in offsets.items()} for topic, offsets in by_topic.items()}


def _count_behind(broker: Broker, positions: Positions) -> int:
    ends = {topic: broker.offsets(topic) for topic in positions}
    return sum(max(0, ends[topic][partition].end - offset) for topic, read in positions.items() for partition, offset in read.items())


def _find_newest(lake: Lake, names: Iterable[str], layer: str) -> datetime | None:
    written = (lake.read_last_write_time(name, layer) for name in names)
    return max((moment for moment in written if moment is not None), default=None)


def _probe_generator(home: Path) -> Signs:
    state = load_state(home)
    return Signs(fresh_seconds=None if state is None else _measure_age(state.live_until))


def _measure_age(moment: datetime | None) -> float | None:
    return None if moment is None else round((datetime.now(UTC) - moment).total_seconds(), 1)
