"""What tells how far each service is: the log against the lake, the lake's newest commits, the age of the snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from soundlake.broker import Broker
from soundlake.contract import LIVE_TOPIC_OF_TYPE, TOPICS
from soundlake.lake import Lake
from soundlake.operations.checking.log import count_waiting
from soundlake.operations.demo_state import load_state
from soundlake.operations.stack.status import Probe, Signs
from soundlake.warehouse import current_time

_PROCESSED = tuple(topic.table for topic in LIVE_TOPIC_OF_TYPE.values())


def make_probes(home: Path, open_broker: Callable[[], Broker], open_lake: Callable[[], Lake], warehouse: Path) -> dict[str, Probe]:
    """By service; what a probe needs is opened when it is asked."""
    return {
        "sink": lambda: _probe_sink(open_broker(), open_lake()),
        "stream": lambda: Signs(fresh_seconds=_measure_age(_find_newest(open_lake(), _PROCESSED, "processed"))),
        "generator": lambda: _probe_generator(home),
        "transform": lambda: Signs(fresh_seconds=_measure_age(current_time(warehouse))),
    }


def _probe_sink(broker: Broker, lake: Lake) -> Signs:
    try:
        newest = _find_newest(lake, [topic.table for topic in TOPICS], "bronze")
        return Signs(count_waiting(broker, lake), _measure_age(newest))
    finally:
        broker.close()


def _find_newest(lake: Lake, names: Iterable[str], layer: str) -> datetime | None:
    written = (lake.last_written(name, layer) for name in names)
    return max((moment for moment in written if moment is not None), default=None)


def _probe_generator(home: Path) -> Signs:
    state = load_state(home)
    return Signs(fresh_seconds=None if state is None else _measure_age(state.live_until))


def _measure_age(moment: datetime | None) -> float | None:
    return None if moment is None else round((datetime.now(UTC) - moment).total_seconds(), 1)
