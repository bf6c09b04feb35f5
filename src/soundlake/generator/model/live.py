"""Live events: the same events as in files, each released at the time it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.model.event_columns import read_sent_ms
from soundlake.generator.model.sessions import HOUR_MS, LONGEST_DELAY_MS
from soundlake.generator.model.world import World

_LOOK_BACK_HOURS = LONGEST_DELAY_MS // HOUR_MS + 30  # a session ends with its local day, so none is longer


@dataclass(frozen=True)
class LiveEvents:
    """New events, ordered by the time they are sent, and the time (UTC) up to which they are complete."""

    events: pa.Table
    until: datetime


def generate_live_events(
    world: World,
    from_time: datetime,
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], object],
    speed: float = 1.0,
    rate: float | None = None,
    every_seconds: float = 1.0,
) -> Iterator[LiveEvents]:
    """The world's events from `from_time` on (by the time they are sent), without end; `days` and `start` do not bound them.

    Simulated time runs `speed` times as fast as the clock until it has caught up, and is never ahead of it (the lake rejects events
    from the future). `rate` limits the events per second. To resume, pass the last `until`: event ids are the same.
    Raises UsageError if `from_time` is in the future.
    """
    started = clock()
    if from_time > started:
        raise UsageError(
            f"live events from {from_time:%Y-%m-%d %H:%M} UTC: the start is in the future", next_step="choose a start in the past"
        )
    pending = _PendingEvents(world, from_time)
    until = from_time
    while True:
        now = clock()
        horizon = max(until, min(now, from_time + (now - started) * speed))
        most = None if rate is None else max(1, round(rate * every_seconds))
        events, until = pending.take(horizon, most)
        yield LiveEvents(events, until)
        sleep(every_seconds)


class _PendingEvents:
    """Generated events that are not due yet: hours of the world, merged by the time they are sent."""

    def __init__(self, world: World, from_time: datetime) -> None:
        self._world = world
        self._hour = _to_ms(from_time) // HOUR_MS - _LOOK_BACK_HOURS
        self._events, self._next = EVENT_SCHEMA.empty_table(), 0
        self._make_hours_until(_to_ms(from_time))
        self._next = int(np.searchsorted(self._sent_ms, _to_ms(from_time)))

    def take(self, moment: datetime, most: int | None) -> tuple[pa.Table, datetime]:
        """The next events sent before `moment`, about `most` at most, and the time up to which they are complete."""
        if _to_ms(moment) >= self._hour * HOUR_MS:
            self._make_hours_until(_to_ms(moment))
        first, end = self._next, int(np.searchsorted(self._sent_ms, _to_ms(moment)))
        if most is not None and end - first > most:
            last_ms = self._sent_ms[first + most - 1]
            end = int(np.searchsorted(self._sent_ms, last_ms, side="right"))
            moment = datetime.fromtimestamp(int(last_ms + 1) / 1_000, UTC)
        self._next = end
        return self._events.slice(first, end - first), moment

    def _make_hours_until(self, moment_ms: int) -> None:
        """Generate the events of all sessions that begin before the end of the hour of `moment_ms`."""
        end_hour = moment_ms // HOUR_MS + 1
        made = self._world.make_span(self._hour * HOUR_MS, end_hour * HOUR_MS)
        waiting = pa.concat_tables([self._events.slice(self._next), *made])
        self._events = waiting.take(pa.array(np.argsort(read_sent_ms(waiting), kind="stable")))
        self._sent_ms, self._hour, self._next = read_sent_ms(self._events), end_hour, 0


def _to_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
