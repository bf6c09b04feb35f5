"""A world: a catalogue and listeners, and their events, generated in chunks of time and listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import overload

import numpy as np
import pyarrow as pa

from soundlake.generator.model.catalogue import Catalogue
from soundlake.generator.model.catalogue_builder import build_catalogue
from soundlake.generator.model.catalogue_file import read_track_file
from soundlake.generator.model.config import GeneratorConfig
from soundlake.generator.model.event_columns import Activity, build_events, read_sent_ms
from soundlake.generator.model.fake_catalogue.tracks import make_fake_tracks
from soundlake.generator.model.interactions import draw_interactions
from soundlake.generator.model.listeners import Cohort, make_cohort
from soundlake.generator.model.playback import simulate_playback
from soundlake.generator.model.sessions import DAY_MS, plan_sessions
from soundlake.generator.model.track_selection import build_queue

COHORT_LISTENERS = 8_192
_LISTENER_DAYS_PER_CHUNK = 8_192
_COHORTS_KEPT = 8  # of 15 MB at most
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Chunk:
    """A part of the world that is generated at once: some UTC days of a cohort of listeners."""

    first_day: int
    days: int
    first_listener: int
    listeners: int


class _CohortCache(dict[tuple[int, int], Cohort]):
    """The cohorts used last, by first listener and count: the next chunk of the same listeners uses the same cohort."""

    def get_or_make(self, listeners: tuple[int, int], make: Callable[[], Cohort]) -> Cohort:
        """The cohort of these listeners, made if it is not in the cache."""
        cohort = self.pop(listeners, None) or make()
        while len(self) >= _COHORTS_KEPT:
            del self[next(iter(self))]
        self[listeners] = cohort
        return cohort

    def __reduce__(self) -> tuple[type[_CohortCache], tuple[()]]:
        """Pickled without content: cohorts are made quickly."""
        return _CohortCache, ()


@dataclass(frozen=True)
class World:
    """The world of a configuration."""

    config: GeneratorConfig
    catalogue: Catalogue
    user_prefix: str = "listener"
    _cohorts: _CohortCache = field(init=False, repr=False, compare=False, default_factory=_CohortCache)

    def name_listener(self, number: int) -> str:
        """The `user_id` of a listener."""
        return f"{self.user_prefix}-{number:06d}"

    @property
    def _period_ms(self) -> tuple[int, int]:
        return (self.config.start - _EPOCH).days * DAY_MS, (self.config.end - _EPOCH).days * DAY_MS

    def list_chunks(self) -> Sequence[Chunk]:
        """All chunks, in the order of the stream: by time, then by listener. They depend on the configuration only."""
        return _Chunks(self.config)

    def make_events(self, chunk: Chunk, *, as_dictionaries: bool = False) -> pa.Table:
        """The events (EVENT_SCHEMA) of all sessions that begin in the chunk, ordered by the time they are sent.

        Events sent after the world's last day (of a session over midnight, or from an offline device) are not included: they are live.
        `as_dictionaries` as in `event_columns.build_events`.
        """
        from_ms = chunk.first_day * DAY_MS
        events = self.make_listeners_span(
            chunk.first_listener, chunk.listeners, from_ms, from_ms + chunk.days * DAY_MS, as_dictionaries=as_dictionaries
        )
        return events.slice(0, int(np.searchsorted(read_sent_ms(events), self._period_ms[1])))

    def make_span(self, from_ms: int, until_ms: int) -> list[pa.Table]:
        """The events of all sessions that begin in [from_ms, until_ms) (UTC, epoch ms), one table per cohort."""
        count = self.config.listeners
        return [
            self.make_listeners_span(first, min(COHORT_LISTENERS, count - first), from_ms, until_ms)
            for first in range(0, count, COHORT_LISTENERS)
        ]

    def make_listeners_span(
        self, first_listener: int, count: int, from_ms: int, until_ms: int, *, as_dictionaries: bool = False
    ) -> pa.Table:
        """The events (EVENT_SCHEMA) of all sessions of some listeners that begin in the span, ordered by the time they are sent."""
        numbers = np.arange(first_listener, first_listener + count)
        cohort = self._cohorts.get_or_make((first_listener, count), lambda: make_cohort(self.catalogue, self.config.seed, numbers))
        sessions = plan_sessions(cohort.listeners, from_ms, until_ms, self._period_ms)
        queue = build_queue(cohort, sessions)
        playback = simulate_playback(cohort, sessions, queue)
        return build_events(
            Activity(cohort, sessions, queue, playback, draw_interactions(cohort.listeners, queue, playback)),
            self.name_listener,
            as_dictionaries=as_dictionaries,
        )


class _Chunks(Sequence[Chunk]):
    """The chunks by number, computed on access: there can be millions."""

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self._days = max(1, _LISTENER_DAYS_PER_CHUNK // min(config.listeners, COHORT_LISTENERS))
        self._cohorts = -(-config.listeners // COHORT_LISTENERS)

    def __len__(self) -> int:
        return -(-self._config.days // self._days) * self._cohorts

    @overload
    def __getitem__(self, number: int) -> Chunk: ...

    @overload
    def __getitem__(self, number: slice) -> list[Chunk]: ...

    def __getitem__(self, number: int | slice) -> Chunk | list[Chunk]:
        numbers = range(len(self))[number]
        return self._make(numbers) if isinstance(numbers, int) else [self._make(one) for one in numbers]

    def _make(self, number: int) -> Chunk:
        config, (time, cohort) = self._config, divmod(number, self._cohorts)
        days, listener = time * self._days, cohort * COHORT_LISTENERS
        return Chunk(
            first_day=(config.start - _EPOCH).days + days,
            days=min(self._days, config.days - days),
            first_listener=listener,
            listeners=min(COHORT_LISTENERS, config.listeners - listener),
        )


def make_world(config: GeneratorConfig) -> World:
    """The world of a configuration, with its catalogue."""
    music = make_fake_tracks(config.tracks, config.seed) if config.catalog is None else read_track_file(config.catalog)
    return World(config, build_catalogue(music))


def generate_events(config: GeneratorConfig) -> Iterator[pa.Table]:
    """All events of the configuration (EVENT_SCHEMA), one table per chunk, each ordered by the time the events are sent."""
    world = make_world(config)
    for chunk in world.list_chunks():
        yield world.make_events(chunk)
