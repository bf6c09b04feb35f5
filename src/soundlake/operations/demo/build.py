"""The demo on the embedded default: history, lake, silver, gold, recommendations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from soundlake.broker import Publisher
from soundlake.importing import LogDrain
from soundlake.lake import Forgotten
from soundlake.operations.generator.feed import GeneratorFeed
from soundlake.operations.generator.state import GeneratorState
from soundlake.progress import Reporter
from soundlake.warehouse import Warehouse, open_snapshot

_COUNTS = """
select
    count(*) as plays, count(*) filter (is_listen) as listens, count(distinct user_id) as listeners,
    count(distinct track_id) as tracks, round(coalesce(sum(heard_ms) filter (is_listen), 0) / 3600000) as hours_heard,
    (select count(*) from gold.user_recommendations) as recommendations
from silver.silver_plays
"""
_TRACKS_OF = """
select track_id, any_value(track_name order by event_id) as track_name, any_value(artist_name order by event_id) as artist_name,
    max(artist_id) as artist_id, max(album_id) as album_id, max(album_name) as album_name, max(duration_ms) as duration_ms,
    count(*) as plays
from silver.silver_plays
where user_id = ? and content_type = 'track'
group by track_id
order by track_id
"""

ImportPerson = Callable[[Reporter], dict[str, Any]]
"""Imports a person's export into bronze (a repeat stores nothing) and returns the report, as `soundlake import --json` prints it."""


@dataclass(frozen=True)
class DemoSummary:
    """What the build made, and how long its steps took."""

    home: Path
    snapshot: str
    full_refresh: bool
    events_published: int
    counts: dict[str, int]
    seconds: dict[str, float]
    imported: dict[str, Any] | None = None


def ignore_others(_reporter: Reporter) -> None:
    """Nobody else publishes."""


@dataclass
class _Stopwatch:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.monotonic() - start, 2)


class Demo:
    """One demo in one home. Every step can be interrupted and repeated: what is done is not done again."""

    def __init__(
        self,
        home: Path,
        state: GeneratorState,
        *,
        publisher: Publisher,
        drain: LogDrain,
        warehouse: Warehouse,
        read_forgotten: Callable[[], Forgotten] = Forgotten,
        import_person: ImportPerson | None = None,
    ) -> None:
        self.home = home
        self.feed = GeneratorFeed(home, state, publisher, self._read_tracks, read_forgotten=read_forgotten)
        self._drain, self._warehouse = drain, warehouse
        self._import_person = import_person
        self._stopwatch = _Stopwatch()

    @property
    def state(self) -> GeneratorState:
        """The saved state."""
        return self.feed.state

    def build(self, reporter: Reporter, await_others: Callable[[Reporter], None] = ignore_others) -> DemoSummary:
        """Import or generate the history, store it, build silver and gold, publish the snapshot. Raises the errors of its steps.

        `await_others` waits for what other processes publish; it is stored with the rest.
        """
        with self._stopwatch.measure("all"):
            imported = self._import(reporter)
            published = self._publish_history(reporter)
            await_others(reporter)
            self._store(reporter)
            snapshot, full_refresh = self._transform(reporter)
            counts = self._count()
        return DemoSummary(self.home, snapshot, full_refresh, published, counts, dict(self._stopwatch.seconds), imported)

    def _import(self, reporter: Reporter) -> dict[str, Any] | None:
        if self._import_person is None:
            return None
        with self._stopwatch.measure("import"):
            report = self._import_person(reporter)
        if not self.state.history_complete and not self.feed.has_tracks:
            self._transform(reporter)  # the generated listeners are modelled on the person's tracks, as silver names them
        return report

    def _publish_history(self, reporter: Reporter) -> int:
        if self.state.history_complete:
            return 0
        with self._stopwatch.measure("generate and publish"):
            return self.feed.publish_history(reporter)

    def _store(self, reporter: Reporter) -> None:
        with self._stopwatch.measure("sink"):
            reporter.begin("event log → bronze")
            self._drain.run()
            reporter.end("all stored")

    def _transform(self, reporter: Reporter) -> tuple[str, bool]:
        with self._stopwatch.measure("transform"):
            reporter.begin("bronze → silver → gold")
            finished: set[str] = set()

            def show_node(node: str, event: str) -> None:
                finished.update([node] if event == "finished" else [])
                reporter.advance(len(finished), node)

            report = self._warehouse.transform(on_progress=show_node)
            reporter.end(f"snapshot {report.snapshot}")
        return report.snapshot, report.is_full_refresh

    def _count(self) -> dict[str, int]:
        with open_snapshot(self._warehouse.folder) as snapshot:
            found = snapshot.connection.execute(_COUNTS)
            names = [column[0] for column in found.description]
            return dict(zip(names, map(int, found.fetchone() or ()), strict=True))

    def _read_tracks(self, user_id: str) -> pa.Table:
        with open_snapshot(self._warehouse.folder) as snapshot:
            return snapshot.connection.execute(_TRACKS_OF, [user_id]).to_arrow_table()
