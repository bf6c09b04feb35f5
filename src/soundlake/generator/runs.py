"""One run of the generator: a world into files, or into the event log, as fast as possible, at a rate, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import pyarrow as pa

from soundlake.broker.account import PublishAccount
from soundlake.broker.protocol import Delivery
from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.topics import PLAYS, Topic
from soundlake.errors import UsageError
from soundlake.generator.crew import make_tables, press_stretches
from soundlake.generator.faults import NO_FAULTS, Disturbed, Faults, disturb
from soundlake.generator.files import EventWriter
from soundlake.generator.live import live_events
from soundlake.generator.live_state import LiveState
from soundlake.generator.tally import Tally
from soundlake.generator.truth import TruthFolder
from soundlake.generator.world import World

_ROWS_AT_ONCE = 50_000
MOST_PROCESSES, MOST_EVENTS = 256, 10**12
LOWEST_RATE, HIGHEST_RATE = 0.01, 10**9


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


@dataclass(frozen=True)
class Order:
    """How a run goes: processes that make events, at most so many `events` (None: all), at most so many a second, with which faults."""

    processes: int = 1
    events: int | None = None
    rate: float | None = None
    faults: Faults = NO_FAULTS

    def __post_init__(self) -> None:
        for name, low, high in (("processes", 1, MOST_PROCESSES), ("events", 1, MOST_EVENTS), ("rate", LOWEST_RATE, HIGHEST_RATE)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"--{name} {value}: not possible", next_step=f"choose a number from {low} to {high:,}")

    @property
    def is_plain(self) -> bool:
        """Whether whole stretches go on as they are."""
        return self.events is None and self.rate is None and not self.faults.any


class Outlet(Protocol):
    """Where the events of a run go, and the truth it leaves behind (None: none)."""

    @property
    def truth(self) -> TruthFolder | None:
        """The truth beside the stream."""

    def publish(self, events: pa.Table) -> PublishAccount:
        """Send the events on; what became of them."""

    def publish_broken(self, records: Sequence[bytes]) -> Delivery:
        """Send records on that cannot be decoded; what became of them."""


@dataclass(frozen=True)
class LogOutlet:
    """Into the event log."""

    publisher: Publishes
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishAccount:
        """Publish the events and take down what became of them."""
        return self.publisher.publish(events) if self.truth is None else self.truth.publish(events, self.publisher.publish)

    def publish_broken(self, records: Sequence[bytes]) -> Delivery:
        """Publish the records to the plays' topic."""
        return self.publisher.publish_raw(PLAYS, [None] * len(records), records)


@dataclass(frozen=True)
class FileOutlet:
    """Into files: what is written is sent."""

    writer: EventWriter
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishAccount:
        """Write the events and take them down."""
        return self._write(events) if self.truth is None else self.truth.publish(events, self._write)

    def publish_broken(self, records: Sequence[bytes]) -> Delivery:
        """Write the records among the events."""
        self.writer.write_broken(records)
        return Delivery(len(records), {}, {})

    def _write(self, events: pa.Table) -> PublishAccount:
        self.writer.write(events)
        return PublishAccount(np.ones(len(events), np.bool_), np.zeros(len(events), np.bool_))


def write_files(world: World, outlet: FileOutlet, time: Time, tell: Tell, order: Order | None = None) -> Tally:
    """All events of the world's days, written in order."""
    order = order or Order()
    press = outlet.writer.press
    if press is None or outlet.truth is not None or not order.is_plain:
        return publish_days(world, outlet, time, tell, order)
    tally, stretches = Tally(time.monotonic), world.list_stretches()
    for done, count in enumerate(press_stretches(world, stretches, press, order.processes), start=1):
        tally.add(count)
        tell(done, len(stretches), tally.tell(done / len(stretches)))
    return tally


def publish_days(world: World, outlet: Outlet, time: Time, tell: Tell, order: Order | None = None) -> Tally:
    """All events of the world's days, with their faults, sent on in order."""
    order = order or Order()
    tally = Tally(time.monotonic)
    if outlet.truth is not None:
        outlet.truth.record_world(world)
    rate = order.rate
    rows = _ROWS_AT_ONCE if rate is None else max(1, min(_ROWS_AT_ONCE, round(rate)))
    for part in _disturb(_make_stretches(world, order, tally, tell), order.faults, world.config.seed):
        for first in range(0, len(part.events), rows):
            events = part.events.slice(first, rows)
            tally.count(events, outlet.publish(events))
            if rate is not None:
                time.sleep(max(0.0, tally.events / rate - tally.seconds))
        tally.broken += _publish_faults(part, outlet)
    return tally


def _disturb(stretches: Iterator[pa.Table], faults: Faults, seed: int) -> Iterator[Disturbed]:
    """The stretches with their faults; without any, texts may stay coded."""
    if not faults.any:
        return (Disturbed.of(events) for events in stretches)
    return disturb((events.cast(EVENT_SCHEMA) for events in stretches), faults, seed)


def _publish_faults(part: Disturbed, outlet: Outlet) -> int:
    """Send on the broken records, take down what befell which event; how many of them were acknowledged."""
    delivery = outlet.publish_broken(part.broken) if part.broken else Delivery(0, {}, {})
    if outlet.truth is not None:
        outlet.truth.record_broken(part.broken, delivery)
        outlet.truth.record_faults(part.notes)
    return delivery.acknowledged


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


def _make_stretches(world: World, order: Order, tally: Tally, tell: Tell) -> Iterator[pa.Table]:
    """The events of each stretch, texts coded, until there are enough."""
    stretches, made = world.list_stretches(), 0
    for done, events in enumerate(make_tables(world, stretches, order.processes), start=1):
        wanted = events if order.events is None else events.slice(0, order.events - made)
        made += len(wanted)
        yield wanted
        if order.events is None:
            tell(done, len(stretches), tally.tell(done / len(stretches)))
            continue
        tell(made, order.events, tally.tell(made / order.events))
        if made == order.events:
            return
