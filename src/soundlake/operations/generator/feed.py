"""Publish generated events: the history once, then live events, resuming where the last run stopped."""

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
from soundlake.lake import Forgotten
from soundlake.local_files import replace_file
from soundlake.operations.generator.state import GeneratorState, save_state
from soundlake.progress import Reporter

TRACKS_FILE = "neighbourhood.parquet"
CATCH_UP_SPEED = 3_600.0
"""Seconds of event time per second, until the hours since the last run are published."""
RETRY_SECONDS = 2.0
FIRST_DAYS = 2
"""Days of history of a full stack without `--days`: few, since Spark reads them too before the dashboard is up to date."""

ReadTracks = Callable[[str], pa.Table]
"""Returns the tracks that a person has heard, as silver names them."""


def refuse_person(person: str) -> pa.Table:
    """The `ReadTracks` of a home in which no person's history is read. Raises Unavailable."""
    raise Unavailable(f"the tracks of {person} are not known here", next_step="run the demo with that export")


class GeneratorFeed:
    """The generated events of one home. Every step can be interrupted and repeated: what was published is not published again."""

    def __init__(
        self,
        home: Path,
        state: GeneratorState,
        publisher: Publisher,
        read_tracks: ReadTracks = refuse_person,
        *,
        read_forgotten: Callable[[], Forgotten] = Forgotten,
    ) -> None:
        self.home = home
        self.state = state
        self._publisher = publisher
        self._read_tracks = read_tracks
        self._read_forgotten = read_forgotten

    @property
    def has_tracks(self) -> bool:
        """Whether the person's tracks, on which the generated listeners are modelled, were saved."""
        return (self.home / TRACKS_FILE).exists()

    def publish_history(self, reporter: Reporter) -> int:
        """Publish the rest of the history in chunks of time, saving the state after each. Returns the number of events."""
        if self.state.history_complete:
            return 0
        published = 0
        world = self._make_world()
        chunks = world.list_chunks()
        reporter.begin("listening history", len(chunks))
        for number in range(self.state.chunks_published, len(chunks)):
            published += self._publish(world.make_events(chunks[number]))
            self._update_state(chunks_published=number + 1, history_complete=number + 1 == len(chunks))
            reporter.advance(number + 1, f"{published:,} events")
        reporter.end(f"{published:,} events published")
        return published

    def publish_live(self, log: Callable[[str], None], on_second: Callable[[], None]) -> None:
        """Publish live events until an exception ends it; those that the log did not take are published again.

        `on_second` is called about once a second.
        """
        live = generate_live_events(
            self._make_world(), self._find_live_start(), clock=lambda: datetime.now(UTC), sleep=time.sleep, speed=CATCH_UP_SPEED
        )
        for batch in live:
            waiting = self._leave_out_forgotten(batch.events)
            while len(waiting):
                account = self._publisher.publish(waiting)
                waiting = waiting.filter(pa.array(~(account.acknowledged_rows | account.unsure_rows)))
                if len(waiting):
                    log(f"{len(waiting):,} live events wait: {', '.join(account.failed_by_reason)}")
                    on_second()
                    time.sleep(RETRY_SECONDS)
            self._update_state(live_until=batch.until)
            on_second()

    def _find_live_start(self) -> datetime:
        """The end of the live events so far, or else of the history."""
        return self.state.live_until or datetime.combine(self.state.config.end, datetime.min.time(), UTC)

    def _make_world(self) -> World:
        """The generated listeners; those of a person's demo are modelled on the tracks that were saved in its first run."""
        if self.state.person is None:
            return make_world(self.state.config)
        path = self.home / TRACKS_FILE
        if not path.exists():
            with replace_file(path) as draft:
                pq.write_table(self._read_tracks(self.state.person), draft)
        return make_neighbour_world(self.state.config, pq.read_table(path))

    def _leave_out_forgotten(self, events: pa.Table) -> pa.Table:
        return events.filter(pa.array(~self._read_forgotten().find(events)))

    def _publish(self, generated: pa.Table) -> int:
        events = self._leave_out_forgotten(generated)
        account = self._publisher.publish(events)
        if account.acknowledged != account.sent:
            reasons = ", ".join(f"{count:,} × {reason}" for reason, count in account.failed_by_reason.items()) or "no answer"
            raise Unavailable(
                f"the event log took {account.acknowledged:,} of {account.sent:,} events ({reasons})",
                next_step="fix the cause and run it again; it resumes",
            )
        return account.acknowledged

    def _update_state(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        save_state(self.home, self.state)
