"""One run of the generator: a world into files, or into the event log, as fast as possible, at a rate, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

from soundlake.broker.account import PublishAccount
from soundlake.generator.files import EventWriter
from soundlake.generator.live import live_events
from soundlake.generator.live_state import LiveState
from soundlake.generator.tally import Tally
from soundlake.generator.truth import TruthFolder
from soundlake.generator.world import World

_ROWS_AT_ONCE = 50_000


class Publishes(Protocol):
    """The way into the event log, as `broker.publisher.Publisher` offers it."""

    def publish(self, events: pa.Table) -> PublishAccount:
        """Publish each row to the live topic of its event_type."""


class Tell(Protocol):
    """Hears how far a run is: so many of so many parts (None: no end in sight), in words."""

    def __call__(self, done: int, total: int | None, words: str) -> None:
        """Show it."""


@dataclass(frozen=True)
class Time:
    """Time as a run needs it: `monotonic` and `sleep` in seconds, `now` in UTC."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], datetime]


def write_files(world: World, writer: EventWriter, time: Time, tell: Tell) -> Tally:
    """All events of the world's days, written in order."""
    tally = Tally(time.monotonic)
    for events in _make_stretches(world, tally, tell):
        writer.write(events)
        tally.count(events)
    return tally


@dataclass(frozen=True)
class Outlet:
    """Where a run publishes to, and the truth it leaves behind (None: none)."""

    publisher: Publishes
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishAccount:
        """Publish the events and take down what became of them."""
        return self.publisher.publish(events) if self.truth is None else self.truth.publish(events, self.publisher.publish)


def publish_days(world: World, outlet: Outlet, time: Time, tell: Tell, *, rate: float | None = None) -> Tally:
    """All events of the world's days, published in order, at most `rate` a second."""
    tally = Tally(time.monotonic)
    rows = _ROWS_AT_ONCE if rate is None else max(1, min(_ROWS_AT_ONCE, round(rate)))
    for events in _make_stretches(world, tally, tell):
        for first in range(0, len(events), rows):
            part = events.slice(first, rows)
            tally.count(part, outlet.publish(part))
            if rate is not None:
                time.sleep(max(0.0, tally.events / rate - tally.seconds))
    return tally


def publish_live(
    world: World, outlet: Outlet, state: LiveState, time: Time, tell: Tell, *, speed: float = 1.0, rate: float | None = None
) -> Tally:  # fmt: skip
    """Events as they happen, from where the last live run of this world stopped (or from now), until KeyboardInterrupt."""
    tally = Tally(time.monotonic)
    with suppress(KeyboardInterrupt):
        for part in live_events(world, state.read() or time.now(), clock=time.now, sleep=time.sleep, speed=speed, rate=rate):
            if len(part.events):
                tally.count(part.events, outlet.publish(part.events))
            state.write(part.until)
            tell(tally.events, None, f"{tally.tell(0)}, up to {part.until:%Y-%m-%d %H:%M:%S} UTC")
    return tally


def read_utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def _make_stretches(world: World, tally: Tally, tell: Tell) -> Iterator[pa.Table]:
    stretches = world.list_stretches()
    for done, stretch in enumerate(stretches, start=1):
        yield world.make_events(stretch)
        tell(done, len(stretches), tally.tell(done / len(stretches)))
