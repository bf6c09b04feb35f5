"""Retry with exponential back-off and full jitter: the one policy of this project, on tenacity."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from soundlake.errors import Retryable


def retry_policy(
    *,
    first_wait_seconds: float,
    longest_wait_seconds: float,
    stop: int | Callable[[RetryCallState], bool],
    on: type[BaseException] | tuple[type[BaseException], ...] = Retryable,
    sleep: Callable[[float], Any] = time.sleep,
    before_sleep: Callable[[RetryCallState], Any] | None = None,
) -> Retrying:
    """A policy; call it with a function and its arguments.

    Retries errors of the types `on`, each wait drawn between zero and a limit that doubles from `first_wait_seconds` to
    `longest_wait_seconds`, until `stop` (a number of calls, or a condition of tenacity's). The last error is then raised as it was;
    any other error at once.
    """
    return Retrying(
        retry=retry_if_exception_type(on),
        wait=wait_random_exponential(multiplier=first_wait_seconds, max=longest_wait_seconds),
        stop=stop_after_attempt(stop) if isinstance(stop, int) else stop,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
