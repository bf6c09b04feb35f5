"""The world: a catalogue and listeners, told as events, stretch by stretch of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import overload

import numpy as np
import pyarrow as pa

from soundlake.generator.acts import act
from soundlake.generator.assembly import assemble_catalogue
from soundlake.generator.catalogue import Catalogue
from soundlake.generator.catalogue_file import read_music
from soundlake.generator.choices import fill_queue
from soundlake.generator.columns import Story, read_sent_ms, write_events
from soundlake.generator.config import GeneratorConfig
from soundlake.generator.hearing import hear
from soundlake.generator.invention import invent_music
from soundlake.generator.listeners import Scene, set_scene
from soundlake.generator.sittings import DAY_MS, plan_sittings

BLOCK_LISTENERS = 8_192
_LISTENER_DAYS = 8_192
_SCENES_KEPT = 8  # of 15 MB at most
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Stretch:
    """A part of the world that is made in one go: UTC days of a block of listeners."""

    first_day: int
    days: int
    first_listener: int
    listeners: int


class _Scenes(dict[tuple[int, int], Scene]):
    """The scenes made last, by first listener and number: the next day of the same listeners needs the same one."""

    def recall(self, block: tuple[int, int], make: Callable[[], Scene]) -> Scene:
        """The scene of the block, made if it is not here."""
        scene = self.pop(block, None) or make()
        while len(self) >= _SCENES_KEPT:
            del self[next(iter(self))]
        self[block] = scene
        return scene

    def __reduce__(self) -> tuple[type[_Scenes], tuple[()]]:
        """Another process begins without any: they are quickly made."""
        return _Scenes, ()


@dataclass(frozen=True)
class World:
    """What a configuration stands for."""

    config: GeneratorConfig
    catalogue: Catalogue
    user_prefix: str = "listener"
    _scenes: _Scenes = field(init=False, repr=False, compare=False, default_factory=_Scenes)

    def name_listener(self, number: int) -> str:
        """The `user_id` of a listener."""
        return f"{self.user_prefix}-{number:06d}"

    @property
    def _era(self) -> tuple[int, int]:
        return (self.config.start - _EPOCH).days * DAY_MS, (self.config.end - _EPOCH).days * DAY_MS

    def list_stretches(self) -> Sequence[Stretch]:
        """All stretches, in the order of the stream: by time, then by listener. They depend on the configuration alone."""
        return _Stretches(self.config)

    def make_events(self, stretch: Stretch, *, is_coded: bool = False) -> pa.Table:
        """The events of all sittings that begin in the stretch, ordered by the moment they are sent (EVENT_SCHEMA).

        What is sent after the world's last day (of a sitting over midnight, of a device still offline) is not among them: it is live.
        `is_coded` as in `columns.write_events`.
        """
        from_ms = stretch.first_day * DAY_MS
        events = self.make_listeners_span(
            stretch.first_listener, stretch.listeners, from_ms, from_ms + stretch.days * DAY_MS, is_coded=is_coded
        )
        return events.slice(0, int(np.searchsorted(read_sent_ms(events), self._era[1])))

    def make_span(self, from_ms: int, until_ms: int) -> list[pa.Table]:
        """The same for any span of time (UTC, epoch ms), a table a block of listeners."""
        count = self.config.listeners
        return [
            self.make_listeners_span(first, min(BLOCK_LISTENERS, count - first), from_ms, until_ms)
            for first in range(0, count, BLOCK_LISTENERS)
        ]

    def make_listeners_span(self, first_listener: int, count: int, from_ms: int, until_ms: int, *, is_coded: bool = False) -> pa.Table:
        """The events of all sittings of some listeners that begin in the span, ordered by the moment they are sent (EVENT_SCHEMA)."""
        numbers = np.arange(first_listener, first_listener + count)
        scene = self._scenes.recall((first_listener, count), lambda: set_scene(self.catalogue, self.config.seed, numbers))
        sittings = plan_sittings(scene.listeners, from_ms, until_ms, self._era)
        queue = fill_queue(scene, sittings)
        hearing = hear(scene, sittings, queue)
        return write_events(
            Story(scene, sittings, queue, hearing, act(scene.listeners, queue, hearing)), self.name_listener, is_coded=is_coded
        )


class _Stretches(Sequence[Stretch]):
    """The stretches by their numbers: there may be millions, so none is made before it is asked for."""

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self._days = max(1, _LISTENER_DAYS // min(config.listeners, BLOCK_LISTENERS))
        self._blocks = -(-config.listeners // BLOCK_LISTENERS)

    def __len__(self) -> int:
        return -(-self._config.days // self._days) * self._blocks

    @overload
    def __getitem__(self, number: int) -> Stretch: ...

    @overload
    def __getitem__(self, number: slice) -> list[Stretch]: ...

    def __getitem__(self, number: int | slice) -> Stretch | list[Stretch]:
        numbers = range(len(self))[number]
        return self._make(numbers) if isinstance(numbers, int) else [self._make(one) for one in numbers]

    def _make(self, number: int) -> Stretch:
        config, (time, block) = self._config, divmod(number, self._blocks)
        days, listener = time * self._days, block * BLOCK_LISTENERS
        return Stretch(
            first_day=(config.start - _EPOCH).days + days,
            days=min(self._days, config.days - days),
            first_listener=listener,
            listeners=min(BLOCK_LISTENERS, config.listeners - listener),
        )


def make_world(config: GeneratorConfig) -> World:
    """The world of a configuration, its catalogue made."""
    music = invent_music(config.tracks, config.seed) if config.catalog is None else read_music(config.catalog)
    return World(config, assemble_catalogue(music))


def generate_events(config: GeneratorConfig) -> Iterator[pa.Table]:
    """All events of the configuration (EVENT_SCHEMA), a table a stretch of time, ordered within by the moment they are sent."""
    world = make_world(config)
    for stretch in world.list_stretches():
        yield world.make_events(stretch)
