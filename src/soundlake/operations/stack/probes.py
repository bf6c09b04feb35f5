"""Probes of each service's work: lag in the log, the newest commits of the lake, the age of the snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from soundlake.broker import Broker
from soundlake.contract import LIVE_TOPIC_OF_TYPE, TOPICS
from soundlake.errors import Unavailable
from soundlake.lake import Lake
from soundlake.operations.generator.state import load_state
from soundlake.operations.spotify_services import HISTORY, LIVE
from soundlake.operations.stack.status import Probe, WorkStatus
from soundlake.reconciliation.log_vs_bronze import count_waiting
from soundlake.reconciliation.stopped_topics import find_stopped
from soundlake.warehouse import read_published_at

if TYPE_CHECKING:
    from soundlake.spotify.status import SpotifyStatus

_PROCESSED = tuple(topic.table for topic in LIVE_TOPIC_OF_TYPE.values())
_COUNTED_QUERIES = ("processed", "live")  # real-time mode commits its offsets only every few minutes

Positions = dict[str, dict[int, int]]


def make_probes(
    home: Path, open_broker: Callable[[], Broker], open_lake: Callable[[], Lake], warehouse: Path, read_spotify: Callable[[], SpotifyStatus]
) -> dict[str, Probe]:
    """One probe per service; each opens what it needs when it is called."""
    return {
        "sink": lambda: _probe_sink(open_broker(), open_lake()),
        "stream": lambda: _probe_stream(home / "stream" / "checkpoints", open_broker, open_lake()),
        "generator": lambda: _probe_generator(home),
        HISTORY: lambda: WorkStatus(fresh_seconds=_find_age(one.last_history_at for one in read_spotify().accounts)),
        LIVE: lambda: _probe_spotify(read_spotify()),
        "transform": lambda: WorkStatus(fresh_seconds=_measure_age(read_published_at(warehouse))),
    }


def _probe_sink(broker: Broker, lake: Lake) -> WorkStatus:
    with closing(broker):
        newest = _find_newest(lake, [topic.table for topic in TOPICS], "bronze")
        return WorkStatus(count_waiting(broker, lake), _measure_age(newest), (*_list_stopped(broker, lake), *_list_held_back(broker)))


def _list_stopped(broker: Broker, lake: Lake) -> Iterator[str]:
    return (f"a topic is stopped: {error.message} ({error.next_step})" for error in find_stopped(broker, lake))


def _list_held_back(broker: Broker) -> Iterator[str]:
    for topic in TOPICS:
        for partition, count in broker.count_held_back(topic.name).items():
            yield f"{topic.name}[{partition}]: an open transaction holds back {count} offsets; they are read when it ends"


def _probe_stream(checkpoints: Path, open_broker: Callable[[], Broker], lake: Lake) -> WorkStatus:
    """The lag of the query that is furthest behind."""
    positions = [read_positions(checkpoints / query) for query in _COUNTED_QUERIES]
    with closing(open_broker()) as broker:
        behind = [_count_behind(broker, position) for position in positions if position]
    try:
        newest = _find_newest(lake, _PROCESSED, "processed")
    except Unavailable:  # the job creates the tables on its first start
        newest = None
    return WorkStatus(max(behind, default=None), _measure_age(newest))


def read_positions(checkpoint: Path) -> Positions:
    """The next offset by topic and partition after the last completed batch of a query; empty before the first."""
    completed = [int(path.name) for path in (checkpoint / "commits").glob("[0-9]*")]
    try:
        text = (checkpoint / "offsets" / str(max(completed))).read_text(encoding="utf-8")
    except (ValueError, FileNotFoundError):  # no batch is complete, or its file was deleted meanwhile
        return {}
    by_topic = json.loads(text.splitlines()[-1])  # after the format version and the batch metadata, one line per source; there is one
    return {topic: {int(partition): offset for partition, offset in offsets.items()} for topic, offsets in by_topic.items()}


def _count_behind(broker: Broker, positions: Positions) -> int:
    ends = {topic: broker.offsets(topic) for topic in positions}
    return sum(
        max(0, held.end - positions[topic].get(partition, held.begin)) for topic in positions for partition, held in ends[topic].items()
    )


def _find_newest(lake: Lake, names: Iterable[str], layer: str) -> datetime | None:
    written = (lake.read_last_write_time(name, layer) for name in names)
    return max((moment for moment in written if moment is not None), default=None)


def _probe_spotify(status: SpotifyStatus) -> WorkStatus:
    """The events that wait for the log, the newest answer, and everything that somebody has to look at."""
    waiting = sum(one.unpublished_events for one in status.accounts)
    return WorkStatus(waiting, _find_age(one.last_poll_at for one in status.accounts), status.alarms)


def _find_age(moments: Iterable[datetime | None]) -> float | None:
    return _measure_age(max((moment for moment in moments if moment is not None), default=None))


def _probe_generator(home: Path) -> WorkStatus:
    state = load_state(home)
    return WorkStatus(fresh_seconds=None if state is None else _measure_age(state.live_until))


def _measure_age(moment: datetime | None) -> float | None:
    return None if moment is None else round((datetime.now(UTC) - moment).total_seconds(), 1)
