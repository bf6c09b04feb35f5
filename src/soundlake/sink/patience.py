"""How long a sink puts up with a log or a store that does not answer."""

from __future__ import annotations

import logging
import random
import threading
import time

from soundlake.errors import LogRemade, Retryable

log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 15.0


class Patience:
    """Waits between tries, longer each time, each wait cut by chance; begins anew when something was stored in between."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._seconds = seconds
        self._stop = stop
        self._tries = 0
        self._since = 0.0
        self._stored = 0

    def wait(self, error: Retryable, stored: int) -> None:
        """Wait until it is worth another try; `stored` grows with what has been stored. Raises the error when patience is over."""
        now = time.monotonic()
        if stored > self._stored or not self._tries:
            self._tries, self._since, self._stored = 0, now, stored
        if now - self._since >= self._seconds and not isinstance(error, LogRemade):
            raise error
        longest = min(_FIRST_WAIT_SECONDS * 2**self._tries, _LONGEST_WAIT_SECONDS)
        wait_seconds = random.uniform(longest / 2, longest)
        self._tries += 1
        log.warning("%s; trying again in %.1f s", error.message, wait_seconds)
        self._stop.wait(wait_seconds)
