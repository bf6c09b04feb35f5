"""One run of the generator: a world into files, or into the event log, as fast as possible, at a rate, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import pyarrow as pa

from soundlake.broker.protocol import Delivery
from soundlake.broker.publish_report import PublishReport
from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.topics import PLAYS, Topic
from soundlake.errors import UsageError
from soundlake.generator.model.live import generate_live_events
from soundlake.generator.model.world import World
from soundlake.generator.output.event_files import EventWriter
from soundlake.generator.output.fault_injection import NO_FAULTS, FaultRates, InjectedBatch, inject_faults
from soundlake.generator.output.live_state import LiveState
from soundlake.generator.output.tally import Tally
from soundlake.generator.output.truth import TruthFolder
from soundlake.generator.output.worker_pool import make_tables, write_chunks

_ROWS_PER_PUBLISH = 50_000
MOST_PROCESSES, MOST_EVENTS = 256, 10**12
LOWEST_RATE, HIGHEST_RATE = 0.01, 10**9


class EventPublisher(Protocol):
    """The way into the event log, as `broker.publisher.Publisher` offers it."""

    def publish(self, events: pa.Table) -> PublishReport:
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
class RunOptions:
    """How a run goes: processes that make events, at most so many `events` (None: all), at most so many a second, with which faults."""

    processes: int = 1
    events: int | None = None
    rate: float | None = None
    faults: FaultRates = NO_FAULTS

    def __post_init__(self) -> None:
        for name, low, high in (("processes", 1, MOST_PROCESSES), ("events", 1, MOST_EVENTS), ("rate", LOWEST_RATE, HIGHEST_RATE)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"--{name} {value}: not possible", next_step=f"choose a number from {low} to {high:,}")

    @property
    def is_unmodified(self) -> bool:
        """Whether whole stretches go on as they are."""
        return self.events is None and self.rate is None and not self.faults.any


class Destination(Protocol):
    """Where the events of a run go, and the truth it leaves behind (None: none)."""

    @property
    def truth(self) -> TruthFolder | None:
        """The truth beside the stream."""

    def publish(self, events: pa.Table) -> PublishReport:
        """Send the events on; what became of them."""

    def publish_malformed(self, records: Sequence[bytes]) -> Delivery:
        """Send records on that cannot be decoded; what became of them."""


@dataclass(frozen=True)
class BrokerDestination:
    """Into the event log."""

    publisher: EventPublisher
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishReport:
        """Publish the events and take down what became of them."""
        return self.publisher.publish(events) if self.truth is None else self.truth.publish(events, self.publisher.publish)

    def publish_malformed(self, records: Sequence[bytes]) -> Delivery:
        """Publish the records to the plays' topic."""
        return self.publisher.publish_raw(PLAYS, [None] * len(records), records)


@dataclass(frozen=True)
class FileDestination:
    """Into files: what is written is sent."""

    writer: EventWriter
    truth: TruthFolder | None = None

    def publish(self, events: pa.Table) -> PublishReport:
        """Write the events and take them down."""
        return self._write(events) if self.truth is None else self.truth.publish(events, self._write)

    def publish_malformed(self, records: Sequence[bytes]) -> Delivery:
        """Write the records among the events."""
        self.writer.write_malformed(records)
        return Delivery(len(records), {}, {})

    def _write(self, events: pa.Table) -> PublishReport:
        self.writer.write(events)
        return PublishReport(np.ones(len(events), np.bool_), np.zeros(len(events), np.bool_))


def write_files(world: World, destination: FileDestination, time: Time, tell: Tell, order: RunOptions | None = None) -> Tally:
    """All events of the world's days, written in order."""
    order = order or RunOptions()
    chunk_writer = destination.writer.chunk_writer
    if chunk_writer is None or destination.truth is not None or not order.is_unmodified:
        return publish_days(world, destination, time, tell, order)
    tally, chunks = Tally(time.monotonic), world.list_chunks()
    for done, count in enumerate(write_chunks(world, chunks, chunk_writer, order.processes), start=1):
        tally.add(count)
        tell(done, len(chunks), tally.tell(done / len(chunks)))
    return tally


def publish_days(world: World, destination: Destination, time: Time, tell: Tell, order: RunOptions | None = None) -> Tally:
    """All events of the world's days, with their faults, sent on in order."""
    order = order or RunOptions()
    tally = Tally(time.monotonic)
    if destination.truth is not None:
        destination.truth.record_world(world)
    rate = order.rate
    rows = _ROWS_PER_PUBLISH if rate is None else max(1, min(_ROWS_PER_PUBLISH, round(rate)))
    for part in _disturb(_make_tables(world, order, tally, tell), order.faults, world.config.seed):
        for first in range(0, len(part.events), rows):
            events = part.events.slice(first, rows)
            tally.count(events, destination.publish(events))
            if rate is not None:
                time.sleep(max(0.0, tally.events / rate - tally.seconds))
        tally.broken += _publish_faults(part, destination)
    return tally


def _disturb(chunks: Iterator[pa.Table], faults: FaultRates, seed: int) -> Iterator[InjectedBatch]:
    """The stretches with their faults; without any, texts may stay coded."""
    if not faults.any:
        return (InjectedBatch.of(events) for events in chunks)
    return inject_faults((events.cast(EVENT_SCHEMA) for events in chunks), faults, seed)


def _publish_faults(part: InjectedBatch, destination: Destination) -> int:
    """Send on the broken records, take down what befell which event; how many of them were acknowledged."""
    delivery = destination.publish_malformed(part.broken) if part.broken else Delivery(0, {}, {})
    if destination.truth is not None:
        destination.truth.record_malformed(part.broken, delivery)
        destination.truth.record_faults(part.notes)
    return delivery.acknowledged


def publish_live(
    world: World, destination: Destination, state: LiveState, time: Time, tell: Tell, *, speed: float = 1.0, rate: float | None = None
) -> Tally:  # fmt: skip
    """Events as they happen, from where the last live run of this world stopped (or from now), until KeyboardInterrupt."""
    tally = Tally(time.monotonic)
    with suppress(KeyboardInterrupt):
        for part in generate_live_events(world, state.read() or time.now(), clock=time.now, sleep=time.sleep, speed=speed, rate=rate):
            if len(part.events):
                tally.count(part.events, destination.publish(part.events))
            state.write(part.until)
            tell(tally.events, None, f"{tally.tell(0)}, up to {part.until:%Y-%m-%d %H:%M:%S} UTC")
    return tally


def read_utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def _make_tables(world: World, order: RunOptions, tally: Tally, tell: Tell) -> Iterator[pa.Table]:
    """The events of each stretch, texts coded, until there are enough."""
    chunks, made = world.list_chunks(), 0
    for done, events in enumerate(make_tables(world, chunks, order.processes), start=1):
        wanted = events if order.events is None else events.slice(0, order.events - made)
        made += len(wanted)
        yield wanted
        if order.events is None:
            tell(done, len(chunks), tally.tell(done / len(chunks)))
            continue
        tell(made, order.events, tally.tell(made / order.events))
        if made == order.events:
            return
