"""Follows the published snapshots of a warehouse and prepares each new one before visitors see it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from soundlake.dashboard.snapshot_reader import OpenSnapshot, SnapshotReader
from soundlake.errors import SoundlakeError

FOLLOW_SECONDS = 3.0

logger = logging.getLogger(__name__)


class SnapshotFollower:
    """Holds the reader of the newest snapshot; safe between threads. Sessions that hold an older reader can go on using it.

    `prepare` is called with each new reader before it is returned: it may compute the answers that most visitors need.
    """

    def __init__(
        self,
        folder: Path,
        open_snapshot: Callable[[Path], OpenSnapshot],
        read_current_id: Callable[[Path], str | None],
        prepare: Callable[[SnapshotReader], None] = lambda _: None,
        seconds: float = FOLLOW_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._folder, self._open, self._read_current_id, self._prepare = folder, open_snapshot, read_current_id, prepare
        self._refreshing = threading.Lock()
        self._reader: SnapshotReader | None = None
        self._error: SoundlakeError | duckdb.Error | None = None
        self._is_started = False

    def get_reader(self) -> SnapshotReader | None:
        """The reader of the newest snapshot; None before the first. Raises SoundlakeError or duckdb.Error if the first cannot be read.

        Once `start` was called it does not look for a newer one itself: the background thread does.
        """
        if not self._is_started:
            self.refresh()
        elif self._reader is None and self._error is not None:
            raise self._error.with_traceback(None)
        return self._reader

    def is_newest(self, reader: SnapshotReader | None) -> bool:
        """Whether `get_reader` still returns this reader (None: still none)."""
        return self.get_reader() is reader

    def refresh(self) -> None:
        """Open and prepare the published snapshot unless it is already open. Raises SoundlakeError or duckdb.Error."""
        with self._refreshing:
            snapshot_id = self._read_current_id(self._folder)
            if snapshot_id is None or (self._reader is not None and self._reader.snapshot_id == snapshot_id):
                return
            reader = SnapshotReader(self._open(self._folder))
            self._prepare(reader)
            self._reader = reader

    def start(self) -> None:
        """Refresh once, and every few seconds in a background thread until the process ends; an error is kept for `get_reader`."""
        self._is_started = True
        self._try_refresh()
        threading.Thread(target=self._follow, name="snapshots", daemon=True).start()

    def _follow(self) -> None:
        while True:
            time.sleep(self._seconds)
            self._try_refresh()

    def _try_refresh(self) -> None:
        try:
            self.refresh()
        except (SoundlakeError, duckdb.Error) as error:
            if str(error) != str(self._error):
                logger.exception("the newest snapshot cannot be read; pages keep the one before")
            self._error = error
        else:
            self._error = None
