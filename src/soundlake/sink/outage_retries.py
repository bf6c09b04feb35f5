"""Retry while the log or the store does not answer, as long as the sink may wait."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, Retrying

from soundlake.errors import Retryable, TopicMissing, TopicRecreated
from soundlake.retries import retry_policy

log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 15.0
_MISSING_TOPIC_SECONDS = 30.0  # a topic that disappears is often created again at once


def retry_outages(
    retry_seconds: float,
    stop: threading.Event,
    *,
    count_stored: Callable[[], int] = lambda: 0,
    has_begun: Callable[[], bool] = lambda: False,
    on_error: Callable[[Exception], Any] = lambda _: None,
) -> Retrying:
    """A policy that retries a Retryable, and a TopicMissing once `has_begun`, with backoff for `retry_seconds` or until `stop` is set.

    Time and backoff start again whenever `count_stored` has grown since the last error. TopicRecreated is retried without a limit: the
    new log can be read at once. The last error is raised as it was. `on_error` is called with each error.
    """
    stored = -1

    def note_error(state: RetryCallState) -> None:
        nonlocal stored
        on_error(_get_error(state))
        if (count := count_stored()) > stored:  # this error begins another outage
            assert state.outcome_timestamp is not None
            stored, state.attempt_number, state.start_time = count, 1, state.outcome_timestamp

    def is_over(state: RetryCallState) -> bool:
        limit = retry_seconds
        if isinstance(_get_error(state), TopicMissing):
            limit = min(retry_seconds, _MISSING_TOPIC_SECONDS) if has_begun() else 0.0
        elif isinstance(_get_error(state), TopicRecreated):
            limit = math.inf
        return stop.is_set() or (state.seconds_since_start or 0.0) >= limit

    return retry_policy(
        first_wait_seconds=_FIRST_WAIT_SECONDS,
        longest_wait_seconds=_LONGEST_WAIT_SECONDS,
        on=(Retryable, TopicMissing),
        stop=is_over,
        sleep=stop.wait,
        before_sleep=lambda state: log.warning("%s; trying again in %.1f s", _get_error(state).message, state.upcoming_sleep),
    ).copy(after=note_error)


def _get_error(state: RetryCallState) -> Retryable | TopicMissing:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Retryable | TopicMissing)
    return error
