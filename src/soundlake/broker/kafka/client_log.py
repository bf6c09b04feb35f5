"""librdkafka's log lines in our log, each at most once a minute: it repeats a failing connection ten times a second."""

from __future__ import annotations

import logging
import re
import time

_REPEAT_SECONDS = 60.0
_VARIABLE_PARTS = re.compile(r"\[thrd:[^]]*\]|\(after \d+ms[^)]*\)|#(?:producer|consumer)-\d+")


class RepeatFilter(logging.Filter):
    """Passes a line unless any client has logged it within the last `repeat_seconds`."""

    def __init__(self, repeat_seconds: float = _REPEAT_SECONDS) -> None:
        super().__init__()
        self._repeat_seconds = repeat_seconds
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the line."""
        now, text = time.monotonic(), strip_variable_parts(record.getMessage())
        self._logged_at = {line: logged for line, logged in self._logged_at.items() if now - logged < self._repeat_seconds}
        if text in self._logged_at:
            return False
        self._logged_at[text] = now
        return True


log = logging.getLogger("soundlake.kafka")
log.addFilter(RepeatFilter())


def strip_variable_parts(text: str) -> str:
    """A log line without its thread, client number and duration."""
    return _VARIABLE_PARTS.sub("", text).strip()
