"""One reader of live metrics a process: a background thread reads while a page is open, and all open pages share its result."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

from soundlake.cache.live_metrics import LiveMetrics
from soundlake.dashboard.live_source import LiveSource
from soundlake.errors import SoundlakeError, Unavailable

READ_SECONDS = 3.0
IDLE_SECONDS = 30.0
_FIRST_READ_SECONDS = 30.0

logger = logging.getLogger(__name__)


class LiveReader:
    """Reads a live source every few seconds until nobody has asked for a while; safe between threads."""

    def __init__(self, source: LiveSource, *, read_seconds: float = READ_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self._source, self._read_seconds, self._idle_seconds = source, read_seconds, idle_seconds
        self._changed = threading.Condition()
        self._latest: LiveMetrics | SoundlakeError | None = None
        self._asked_at = 0.0
        self._is_running = False

    def get_latest(self) -> LiveMetrics:
        """The newest metrics, a few seconds old at most; only the first call waits for a read. Raises Unavailable."""
        with self._changed:
            self._asked_at = time.monotonic()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._read_until_idle, name="live metrics", daemon=True).start()
            self._changed.wait_for(lambda: self._latest is not None, _FIRST_READ_SECONDS)
            latest = self._latest
        if isinstance(latest, LiveMetrics):
            return latest
        if latest is None:
            raise Unavailable(f"No live metrics after {_FIRST_READ_SECONDS:g} s", next_step="the page tries again")
        raise Unavailable(latest.message, next_step=latest.next_step) from latest

    def _read_until_idle(self) -> None:
        while self._is_asked_for():
            self._publish(self._read())
            time.sleep(self._read_seconds)

    def _is_asked_for(self) -> bool:
        """False ends the thread; its last result is dropped, so that the next page does not show an old one."""
        with self._changed:
            if time.monotonic() - self._asked_at > self._idle_seconds:
                self._latest, self._is_running = None, False
            return self._is_running

    def _publish(self, latest: LiveMetrics | SoundlakeError) -> None:
        with self._changed:
            self._latest = latest
            self._changed.notify_all()

    def _read(self) -> LiveMetrics | SoundlakeError:
        try:
            return self._source.read(datetime.now(UTC))
        except SoundlakeError as error:
            return error
        except Exception as error:  # the thread must survive: every open page depends on it
            logger.exception("a read of live metrics failed")
            return Unavailable(f"Live metrics could not be read ({type(error).__name__})", next_step="see the log of the dashboard")
