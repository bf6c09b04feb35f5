"""One run of the generator: a world into files, or into the event log, as fast as possible, at a rate, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

from soundlake.broker.account import PublishAccount
from soundlake.broker.protocol import Delivery
from soundlake.contract.topics import PLAYS, Topic
from soundlake.generator.faults import NO_FAULTS, Disturbed, Faults, disturb
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

    def publish_raw(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Publish records as they stand."""


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
    for events in _make_stretches(world, tally, tell, is_coded=writer.takes_codes):
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

    def publish_broken(self, part: Disturbed) -> int:
        """Publish the broken records to the plays' topic, take down the faults; how many were acknowledged."""
        delivery = self.publisher.publish_raw(PLAYS, [None] * len(part.broken), part.broken)
        if self.truth is not None:
            self.truth.record_broken(part.broken, delivery)
            self.truth.record_faults(part.notes)
        return delivery.acknowledged


def publish_days(world: World, outlet: Outlet, time: Time, tell: Tell, *, rate: float | None = None, faults: Faults = NO_FAULTS) -> Tally:
    """All events of the world's days, with their faults, published in order, at most `rate` a second."""
    tally = Tally(time.monotonic)
    if outlet.truth is not None:
        outlet.truth.record_world(world)
    rows = _ROWS_AT_ONCE if rate is None else max(1, min(_ROWS_AT_ONCE, round(rate)))
    stretches = _make_stretches(world, tally, tell)
    for part in disturb(stretches, faults, world.config.seed) if faults.any else (Disturbed.of(events) for events in stretches):
        for first in range(0, len(part.events), rows):
            events = part.events.slice(first, rows)
            tally.count(events, outlet.publish(events))
            if rate is not None:
                time.sleep(max(0.0, tally.events / rate - tally.seconds))
        tally.broken += outlet.publish_broken(part) if len(part.notes) else 0
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


def _make_stretches(world: World, tally: Tally, tell: Tell, *, is_coded: bool = False) -> Iterator[pa.Table]:
    stretches = world.list_stretches()
    for done, stretch in enumerate(stretches, start=1):
        yield world.make_events(stretch, is_coded=is_coded)
        tell(done, len(stretches), tally.tell(done / len(stretches)))
