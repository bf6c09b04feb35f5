"""Trying again what can get better, with growing jittered waits, and an end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from soundlake.errors import Retryable

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Backoff:
    """Up to `attempts` calls; the waits between them double, each cut by chance to between half and all of it."""

    attempts: int = 6
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 5.0
    sleep: Callable[[float], object] = time.sleep
    random: random.Random = field(default_factory=random.Random)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call until it succeeds. Raises the last Retryable, and anything else at once."""
        for attempt in range(self.attempts - 1):
            try:
                return function(*args, **kwargs)
            except Retryable:
                wait_seconds = min(self.first_wait_seconds * 2**attempt, self.longest_wait_seconds)
                self.sleep(self.random.uniform(wait_seconds / 2, wait_seconds))
        return function(*args, **kwargs)
