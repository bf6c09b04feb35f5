"""Compaction beside a running sink, on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from soundlake.errors import SoundlakeError
from soundlake.lake import VACUUM_RETENTION_HOURS, Compaction, Lake

log = logging.getLogger(__name__)

_VACUUM_EVERY = timedelta(hours=6)


class Upkeep:
    """Compacts what is over and, every few hours, deletes old files that no commit names."""

    def __init__(self, lake: Lake, clock: Callable[[], datetime], *, retention_hours: int = VACUUM_RETENTION_HOURS) -> None:
        self._lake, self._clock, self._retention_hours = lake, clock, retention_hours
        self._next_vacuum = clock() + _VACUUM_EVERY

    def run_once(self) -> list[Compaction]:
        """One round over all tables."""
        now = self._clock()
        is_due = now >= self._next_vacuum
        done = self._lake.compact(now, vacuum_retention_hours=self._retention_hours if is_due else None)
        if is_due:
            self._next_vacuum = now + _VACUUM_EVERY
        return done

    @contextmanager
    def beside(self, every_seconds: float) -> Iterator[None]:
        """Run a round every so often while the block runs; what a round cannot do, the next one tries again."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run_rounds, args=(ended, every_seconds), name="compaction")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _run_rounds(self, ended: threading.Event, every_seconds: float) -> None:
        while not ended.wait(every_seconds):
            try:
                self.run_once()
            except SoundlakeError:
                log.warning("compaction did not finish; the next round tries again", exc_info=True)
