"""Wait until bronze holds everything in the log: with a sink of our own, or by waiting for the one that runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from soundlake.broker import Broker
from soundlake.contract import TOPICS, Topic
from soundlake.errors import PositionMoved, SoundlakeError, Unavailable
from soundlake.lake import BronzeTables, make_position_app_id
from soundlake.local_files import try_lock

_POLL_SECONDS = 0.1

Offsets = dict[tuple[str, int], int]
"""An offset of each topic and partition."""

RunSink = Callable[[threading.Event | None], object]
"""Runs a sink until the event is set; without an event until everything is stored that the log held at the start."""


class LogDrain:
    """Stores the log in bronze up to its end. `lock` is held by the sink of this home while it runs."""

    def __init__(self, broker: Broker, tables: BronzeTables, run_sink: RunSink, lock: Path, *, stalled_seconds: float = 120.0) -> None:
        self._broker = broker
        self._tables = tables
        self._run_sink = run_sink
        self._lock = lock
        self._stalled_seconds = stalled_seconds

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """While the block runs, a thread stores what is published. Its errors are ignored: `run`, which must follow, meets them again."""
        stop = threading.Event()
        thread = threading.Thread(target=self._store_until, args=(stop,), name="sink")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def run(self) -> None:
        """Return when everything is stored that the log holds now.

        Raises Unavailable if another sink has the partitions and has stored nothing for `stalled_seconds`.
        """
        wanted = self._read_ends()
        last, since = self._read_positions(), time.monotonic()
        while not self._run_own_sink():
            found = self._read_positions()
            if all(found[partition] >= end - 1 for partition, end in wanted.items()):
                return
            if found != last:
                last, since = found, time.monotonic()
            if time.monotonic() - since > self._stalled_seconds:
                raise Unavailable(
                    f"another sink holds {self._lock} and has stored nothing for {self._stalled_seconds:.0f} s",
                    next_step="read its log or stop it, then try again",
                )
            time.sleep(_POLL_SECONDS)

    def _store_until(self, stop: threading.Event) -> None:
        with try_lock(self._lock) as is_free:
            if is_free:
                with suppress(SoundlakeError):
                    self._run_sink(stop)

    def _run_own_sink(self) -> bool:
        with try_lock(self._lock) as is_free:
            if not is_free:
                return False
            try:
                self._run_sink(None)
            except PositionMoved:
                return False  # a sink of another machine or home has the partitions: wait for it
            return True

    def _read_ends(self) -> Offsets:
        return {(topic.name, partition): held.end for topic in TOPICS for partition, held in self._broker.offsets(topic.name).items()}

    def _read_positions(self) -> Offsets:
        return {(topic.name, partition): offset for topic in TOPICS for partition, offset in self._read_topic_positions(topic).items()}

    def _read_topic_positions(self, topic: Topic) -> dict[int, int]:
        table, log_id = self._tables.open_table(topic.table), self._broker.log_id(topic.name)
        partitions = self._broker.partitions(topic.name)
        return {partition: table.read_position(make_position_app_id(log_id, topic.name, partition)) for partition in partitions}
