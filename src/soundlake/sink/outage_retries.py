"""How long a sink puts up with a log or a store that does not answer."""

from __future__ import annotations

import logging
import random
import threading
import time

from soundlake.errors import LogRemade, Retryable, TopicMissing

log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 15.0
_MISSING_SECONDS = 30.0  # a topic that was there is waited for that long: whoever deletes one often makes it anew


class Patience:
    """Waits between tries, longer each time, each wait cut by chance; begins anew when something was stored in between."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._seconds = seconds
        self._stop = stop
        self._tries = 0
        self._since = 0.0
        self._stored = 0

    def wait(self, error: Retryable | TopicMissing, stored: int) -> None:
        """Wait until it is worth another try; `stored` grows with what has been stored. Raises the error when patience is over."""
        now = time.monotonic()
        if stored > self._stored or not self._tries:
            self._tries, self._since, self._stored = 0, now, stored
        limit = min(self._seconds, _MISSING_SECONDS) if isinstance(error, TopicMissing) else self._seconds
        if now - self._since >= limit and not isinstance(error, LogRemade):
            raise error
        longest = min(_FIRST_WAIT_SECONDS * 2**self._tries, _LONGEST_WAIT_SECONDS)
        wait_seconds = random.uniform(longest / 2, longest)
        self._tries += 1
        log.warning("%s; trying again in %.1f s", error.message, wait_seconds)
        self._stop.wait(wait_seconds)
