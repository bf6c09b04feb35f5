"""The world as it happens: the same events as ever, each handed over once its moment has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from soundlake.errors import UsageError
from soundlake.generator.config import GeneratorConfig
from soundlake.generator.sittings import HOUR_MS
from soundlake.generator.world import World, make_world

_LOOK_BACK_HOURS = 30  # a sitting ends with its local day: none goes on for longer


@dataclass(frozen=True)
class LiveEvents:
    """Events that have just happened, ordered by the moment they are sent, and the moment (UTC) up to which they are complete."""

    events: pa.Table
    until: datetime


def live_events(
    config: GeneratorConfig,
    from_time: datetime,
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], object],
    speed: float = 1.0,
    rate: float | None = None,
    every_seconds: float = 1.0,
) -> Iterator[LiveEvents]:
    """The world's events from `from_time` on (by the moment they are sent), without end; `days` and `start` do not bound them.

    Simulated time runs `speed` times as fast as the clock until it has caught up with it, and never passes it (the lake refuses
    events from the future). `rate` bounds the events a second. Whoever stops goes on from the last `until`: the ids are the same.
    Raises UsageError for a `from_time` that lies in the future.
    """
    started = clock()
    if from_time > started:
        raise UsageError(f"live events from {from_time:%Y-%m-%d %H:%M} UTC: that is in the future", next_step="begin at a moment that is over")
    pending = _Pending(make_world(config), from_time)
    until = from_time
    while True:
        now = clock()
        horizon = max(until, min(now, from_time + (now - started) * speed))
        events = pending.take_until(horizon)
        most = None if rate is None else max(1, round(rate * every_seconds))
        if most is not None and len(events) > most:
            events, horizon = pending.put_back(events, most)
        until = horizon
        yield LiveEvents(events, until)
        sleep(every_seconds)


class _Pending:
    """Events made and not yet due: hours of the world, merged by the moment they are sent."""

    def __init__(self, world: World, from_time: datetime) -> None:
        self._world = world
        self._hour = _to_ms(from_time) // HOUR_MS - _LOOK_BACK_HOURS
        self._events = _cut_before(self._make_hours(_to_ms(from_time) // HOUR_MS + 1), _to_ms(from_time))

    def take_until(self, moment: datetime) -> pa.Table:
        """The events sent before that moment, in order; they are no longer pending."""
        if _to_ms(moment) >= self._hour * HOUR_MS:
            self._events = _sort(pa.concat_tables([self._events, self._make_hours(_to_ms(moment) // HOUR_MS + 1)]))
        due = int(np.searchsorted(_read_sent_ms(self._events), _to_ms(moment)))
        taken, self._events = self._events.slice(0, due), self._events.slice(due)
        return taken

    def put_back(self, events: pa.Table, most: int) -> tuple[pa.Table, datetime]:
        """The first `most` of the events (and those of the same moment); the others are pending again. Complete up to the moment given."""
        sent = _read_sent_ms(events)
        kept = int(np.searchsorted(sent, sent[most - 1], side="right"))
        self._events = pa.concat_tables([events.slice(kept), self._events])
        return events.slice(0, kept), datetime.fromtimestamp(int(sent[kept - 1] + 1) / 1_000, UTC)

    def _make_hours(self, end_hour: int) -> pa.Table:
        """The events of sittings that begin before that hour, from where the last call stopped."""
        events = _sort(pa.concat_tables(self._world.make_span(self._hour * HOUR_MS, end_hour * HOUR_MS)))
        self._hour = end_hour
        return events


def _cut_before(events: pa.Table, moment_ms: int) -> pa.Table:
    return events.slice(int(np.searchsorted(_read_sent_ms(events), moment_ms)))


def _sort(events: pa.Table) -> pa.Table:
    return events.take(pa.array(np.argsort(_read_sent_ms(events), kind="stable")))


def _read_sent_ms(events: pa.Table) -> np.ndarray:
    return events["produced_at"].cast(pa.int64()).to_numpy() // 1_000


def _to_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
