"""Retry while the log or the store does not answer, as long as the sink may wait."""

from __future__ import annotations

import logging
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

    Time and backoff start again whenever `count_stored` has grown since the last error. TopicRecreated is retried without a limit: the new
    log can be read at once. The last error is raised as it was. `on_error` is called with each error.
    """
    outage = _Outage(retry_seconds, stop, count_stored, has_begun, on_error)
    return retry_policy(
        first_wait_seconds=_FIRST_WAIT_SECONDS,
        longest_wait_seconds=_LONGEST_WAIT_SECONDS,
        on=(Retryable, TopicMissing),
        stop=outage.is_over,
        sleep=stop.wait,
        before_sleep=_log_retry,
    ).copy(after=outage.note_error)


class _Outage:
    def __init__(
        self,
        retry_seconds: float,
        stop: threading.Event,
        count_stored: Callable[[], int],
        has_begun: Callable[[], bool],
        on_error: Callable[[Exception], Any],
    ) -> None:
        self._retry_seconds, self._stop, self._count_stored = retry_seconds, stop, count_stored
        self._has_begun, self._on_error = has_begun, on_error
        self._stored = -1

    def note_error(self, state: RetryCallState) -> None:
        """Report the error; if something was stored since the last one, it begins a new outage."""
        self._on_error(_get_error(state))
        if (stored := self._count_stored()) > self._stored:
            assert state.outcome_timestamp is not None
            self._stored, state.attempt_number, state.start_time = stored, 1, state.outcome_timestamp

    def is_over(self, state: RetryCallState) -> bool:
        """Whether the error is raised instead of retried."""
        error, seconds = _get_error(state), state.seconds_since_start
        assert seconds is not None
        if isinstance(error, TopicMissing):
            limit = min(self._retry_seconds, _MISSING_TOPIC_SECONDS) if self._has_begun() else 0.0
        else:
            limit = self._retry_seconds
        return self._stop.is_set() or (seconds >= limit and not isinstance(error, TopicRecreated))


def _get_error(state: RetryCallState) -> Exception:
    error = state.outcome and state.outcome.exception()
    assert isinstance(error, Exception)
    return error


def _log_retry(state: RetryCallState) -> None:
    log.warning("%s; trying again in %.1f s", getattr(_get_error(state), "message", ""), state.upcoming_sleep)
