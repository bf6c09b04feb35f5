"""One run of the generator: a world into files or the event log, as fast as possible, at a rate, or live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa

from soundlake.broker.protocol import Delivery
from soundlake.contract import EVENT_SCHEMA
from soundlake.errors import UsageError
from soundlake.generator.model.live import generate_live_events
from soundlake.generator.model.world import World
from soundlake.generator.output.destinations import Destination, FileDestination
from soundlake.generator.output.fault_injection import NO_FAULTS, FaultRates, InjectedBatch, inject_faults
from soundlake.generator.output.live_state import LiveState
from soundlake.generator.output.tally import Tally
from soundlake.generator.output.worker_pool import make_tables, write_chunks

_ROWS_PER_PUBLISH = 50_000
MOST_PROCESSES, MOST_EVENTS = 256, 10**12
LOWEST_RATE, HIGHEST_RATE = 0.01, 10**9


class ShowProgress(Protocol):
    """Shows the progress of a run: parts done, parts in total (None: unlimited), and a text."""

    def __call__(self, done: int, total: int | None, text: str) -> None:
        """Show it."""


@dataclass(frozen=True)
class Clock:
    """The clock of a run: `monotonic` and `sleep` in seconds, `now` in UTC."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], datetime]


@dataclass(frozen=True)
class RunOptions:
    """Worker processes, the number of `events` at most (None: all), events per second at most, and faults to inject."""

    processes: int = 1
    events: int | None = None
    rate: float | None = None
    faults: FaultRates = NO_FAULTS

    def __post_init__(self) -> None:
        for name, low, high in (("processes", 1, MOST_PROCESSES), ("events", 1, MOST_EVENTS), ("rate", LOWEST_RATE, HIGHEST_RATE)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"--{name} {value}: out of range", next_step=f"choose a number from {low} to {high:,}")

    @property
    def is_unmodified(self) -> bool:
        """Whether whole chunks are written unchanged."""
        return self.events is None and self.rate is None and not self.faults.any


def write_files(
    world: World, destination: FileDestination, clock: Clock, show_progress: ShowProgress, options: RunOptions | None = None
) -> Tally:  # fmt: skip
    """Write all events of the world's days, in order."""
    options = options or RunOptions()
    chunk_writer = destination.writer.chunk_writer
    if chunk_writer is None or destination.truth is not None or not options.is_unmodified:
        return publish_days(world, destination, clock, show_progress, options)
    tally, chunks = Tally(clock.monotonic), world.list_chunks()
    for done, counts in enumerate(write_chunks(world, chunks, chunk_writer, options.processes), start=1):
        tally.add(counts)
        show_progress(done, len(chunks), tally.format_progress(done / len(chunks)))
    return tally


def publish_days(
    world: World, destination: Destination, clock: Clock, show_progress: ShowProgress, options: RunOptions | None = None
) -> Tally:  # fmt: skip
    """Send all events of the world's days, with injected faults, in order."""
    options = options or RunOptions()
    tally = Tally(clock.monotonic)
    if destination.truth is not None:
        destination.truth.record_world(world)
    rate = options.rate
    rows = _ROWS_PER_PUBLISH if rate is None else max(1, min(_ROWS_PER_PUBLISH, round(rate)))
    for batch in _inject_faults(_make_tables(world, options, tally, show_progress), options.faults, world.config.seed):
        for first in range(0, len(batch.events), rows):
            events = batch.events.slice(first, rows)
            tally.add_published(events, destination.publish(events))
            if rate is not None:
                clock.sleep(max(0.0, tally.events / rate - tally.seconds))
        tally.broken += _publish_faults(batch, destination)
    return tally


def _inject_faults(tables: Iterator[pa.Table], faults: FaultRates, seed: int) -> Iterator[InjectedBatch]:
    """The tables with faults; without any, dictionary columns are kept."""
    if not faults.any:
        return (InjectedBatch.of(events) for events in tables)
    return inject_faults((events.cast(EVENT_SCHEMA) for events in tables), faults, seed)


def _publish_faults(batch: InjectedBatch, destination: Destination) -> int:
    """Send the malformed records and record the faults; the number of acknowledged malformed records."""
    delivery = destination.publish_malformed(batch.malformed) if batch.malformed else Delivery(0, {}, {})
    if destination.truth is not None:
        destination.truth.record_malformed(batch.malformed, delivery)
        destination.truth.record_faults(batch.faults)
    return delivery.acknowledged


def publish_live(
    world: World,
    destination: Destination,
    state: LiveState,
    clock: Clock,
    show_progress: ShowProgress,
    *,
    speed: float = 1.0,
    rate: float | None = None,
) -> Tally:
    """Send events as they happen, from where the last live run of this world stopped (or from now), until KeyboardInterrupt."""
    tally = Tally(clock.monotonic)
    with suppress(KeyboardInterrupt):
        for part in generate_live_events(world, state.read() or clock.now(), clock=clock.now, sleep=clock.sleep, speed=speed, rate=rate):
            if len(part.events):
                tally.add_published(part.events, destination.publish(part.events))
            state.write(part.until)
            show_progress(tally.events, None, f"{tally.format_progress(0)}, up to {part.until:%Y-%m-%d %H:%M:%S} UTC")
    return tally


def read_utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def _make_tables(world: World, options: RunOptions, tally: Tally, show_progress: ShowProgress) -> Iterator[pa.Table]:
    """The events of each chunk, with dictionary columns, up to the number of events in the options."""
    chunks, made = world.list_chunks(), 0
    for done, events in enumerate(make_tables(world, chunks, options.processes), start=1):
        wanted = events if options.events is None else events.slice(0, options.events - made)
        made += len(wanted)
        yield wanted
        if options.events is None:
            show_progress(done, len(chunks), tally.format_progress(done / len(chunks)))
            continue
        show_progress(made, options.events, tally.format_progress(made / options.events))
        if made == options.events:
            return
