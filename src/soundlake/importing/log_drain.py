"""See that everything the log holds is in bronze: by a sink of our own, or by the one that runs already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from soundlake.broker import Broker
from soundlake.contract import TOPICS, Topic
from soundlake.errors import PositionMoved, SoundlakeError, Unavailable
from soundlake.lake import Lake, make_position_app_id
from soundlake.local_files import try_lock

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 120.0
Marks = dict[tuple[str, int], int]


RunSink = Callable[[threading.Event | None], object]
"""Runs a sink until the event is set, or without one until all is stored that the log held at the beginning."""


class LogDrain:
    """Brings bronze up to the end of the log. `lock` tells whether another sink of this home runs."""

    def __init__(self, broker: Broker, lake: Lake, run_sink: RunSink, lock: Path) -> None:
        self._broker = broker
        self._lake = lake
        self._run_sink = run_sink
        self._lock = lock

    @contextmanager
    def beside(self) -> Iterator[None]:
        """While the block runs, store in a thread of its own what is published; what goes wrong there shows in `run`, which comes after."""
        stop = threading.Event()
        thread = threading.Thread(target=self._store_until, args=(stop,), name="sink")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _store_until(self, stop: threading.Event) -> None:
        with try_lock(self._lock) as free:
            if free:
                with suppress(SoundlakeError):
                    self._run_sink(stop)

    def run(self) -> None:
        """Return when all is stored that the log holds now. Raises Unavailable if another sink has it and does not move for two minutes."""
        wanted = self._ends()
        last, since = self._positions(), time.monotonic()
        while not self._run_own_sink():
            found = self._positions()
            if all(found[partition] >= end - 1 for partition, end in wanted.items()):
                return
            if found != last:
                last, since = found, time.monotonic()
            if time.monotonic() - since > _PATIENCE_SECONDS:
                raise Unavailable(
                    f"another sink holds {self._lock} and has stored nothing for {_PATIENCE_SECONDS:.0f} s",
                    next_step="look at its log or stop it, then try again",
                )
            time.sleep(_POLL_SECONDS)

    def _run_own_sink(self) -> bool:
        with try_lock(self._lock) as free:
            if not free:
                return False
            try:
                self._run_sink(None)
            except PositionMoved:
                return False  # a sink of another machine or home has the partitions: wait for it
            return True

    def _ends(self) -> Marks:
        return {(topic.name, partition): held.end for topic in TOPICS for partition, held in self._broker.offsets(topic.name).items()}

    def _positions(self) -> Marks:
        return {(topic.name, partition): at for topic in TOPICS for partition, at in self._positions_of(topic).items()}

    def _positions_of(self, topic: Topic) -> dict[int, int]:
        table, log_id = self._lake.open_table(topic.table), self._broker.log_id(topic.name)
        partitions = self._broker.partitions(topic.name)
        return {partition: table.read_position(make_position_app_id(log_id, topic.name, partition)) for partition in partitions}
