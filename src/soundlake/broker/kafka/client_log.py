"""What librdkafka logs, in our log: each thing once a minute, for it repeats a failing connection ten times a second."""

from __future__ import annotations

import logging
import re
import time

_REPEAT_SECONDS = 60.0
_PASSING = re.compile(r"\[thrd:[^]]*\]|\(after \d+ms[^)]*\)|#(?:producer|consumer)-\d+")


class RepeatFilter(logging.Filter):
    """Lets a line pass if it has not been said in the last minute, by whichever client."""

    def __init__(self, repeat_seconds: float = _REPEAT_SECONDS) -> None:
        super().__init__()
        self._repeat_seconds = repeat_seconds
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is news."""
        now, text = time.monotonic(), _PASSING.sub("", record.getMessage())
        self._said = {line: said for line, said in self._said.items() if now - said < self._repeat_seconds}
        if text in self._said:
            return False
        self._said[text] = now
        return True


log = logging.getLogger("soundlake.kafka")
log.addFilter(RepeatFilter())


def strip_passing(text: str) -> str:
    """What a connection says of itself, without what differs each time."""
    return _PASSING.sub("", text).strip()
