"""The world of a home told into the event log: its history once, then its live events, going on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from soundlake.broker import Publisher
from soundlake.errors import Unavailable
from soundlake.generator import World, generate_live_events, make_world
from soundlake.generator.model.neighbours import make_neighbour_world
from soundlake.operations.generator_state import GeneratorState, save_state
from soundlake.progress import Reporter

TRACKS_FILE = "neighbourhood.parquet"
CATCH_UP_SPEED = 3_600.0
"""Simulated seconds a second, until the events of the hours since the last run are told."""
RETRY_SECONDS = 2.0
FIRST_DAYS = 2
"""History of a full stack that is not told otherwise: on the dashboard soon, and Spark reads it too."""

ReadTracks = Callable[[str], pa.Table]
"""The tracks that a person has heard, as silver names them."""


def know_no_tracks(person: str) -> pa.Table:
    """For worlds without a person in them."""
    raise Unavailable(f"the tracks of {person} are not known here", next_step="run the demo with that export")


class GeneratorFeed:
    """One world, as far as it is published. Every step can be interrupted and repeated: what is done is not done again."""

    def __init__(self, home: Path, state: GeneratorState, publisher: Publisher, read_tracks: ReadTracks = know_no_tracks) -> None:
        self.home = home
        self.state = state
        self._publisher = publisher
        self._read_tracks = read_tracks

    @property
    def has_tracks(self) -> bool:
        """Whether the tracks of the person that the neighbours are made of are noted."""
        return (self.home / TRACKS_FILE).exists()

    def publish_history(self, reporter: Reporter) -> int:
        """Publish what is left of the world's history, a chunk at a time; each is written down before the next."""
        if self.state.history_complete:
            return 0
        published = 0
        world = self._make_world()
        chunks = world.list_chunks()
        reporter.begin("listening history", len(chunks))
        for number in range(self.state.stretches_published, len(chunks)):
            published += self._publish(world.make_events(chunks[number]))
            self._remember(stretches_published=number + 1, history_complete=number + 1 == len(chunks))
            reporter.advance(number + 1, f"{published:,} events")
        reporter.end(f"{published:,} events published")
        return published

    def flow(self, tell: Callable[[str], None], look_around: Callable[[], None]) -> None:
        """Publish live events for ever; what the log does not take now is offered again. `look_around` is called every second."""
        live = generate_live_events(
            self._make_world(), self._live_from(), clock=lambda: datetime.now(UTC), sleep=time.sleep, speed=CATCH_UP_SPEED
        )
        for batch in live:
            waiting = batch.events
            while len(waiting):
                account = self._publisher.publish(waiting)
                waiting = waiting.filter(pa.array(~(account.acknowledged_rows | account.unsure_rows)))
                if len(waiting):
                    tell(f"{len(waiting):,} live events wait: {', '.join(account.failed_by_reason)}")
                    look_around()
                    time.sleep(RETRY_SECONDS)
            self._remember(live_until=batch.until)
            look_around()

    def _live_from(self) -> datetime:
        """Where live events go on: where they stopped, or where the history ends."""
        return self.state.live_until or datetime.combine(self.state.config.end, datetime.min.time(), UTC)

    def _make_world(self) -> World:
        """The listeners; a person's neighbours are made of the tracks noted when it began."""
        if self.state.person is None:
            return make_world(self.state.config)
        path = self.home / TRACKS_FILE
        if not path.exists():
            draft = path.with_suffix(".tmp")
            pq.write_table(self._read_tracks(self.state.person), draft)
            draft.replace(path)
        return make_neighbour_world(self.state.config, pq.read_table(path))

    def _publish(self, events: pa.Table) -> int:
        account = self._publisher.publish(events)
        if account.acknowledged != account.sent:
            reasons = ", ".join(f"{count:,} × {reason}" for reason, count in account.failed_by_reason.items()) or "no answer"
            raise Unavailable(
                f"the event log took {account.acknowledged:,} of {account.sent:,} events ({reasons})",
                next_step="mend that and run it again: it goes on where it was",
            )
        return account.acknowledged

    def _remember(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        save_state(self.home, self.state)
