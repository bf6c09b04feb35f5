"""Retries: how often, how long between two calls, and which errors end them."""

from __future__ import annotations

import pytest
from tenacity import stop_after_delay

from soundlake.errors import Permanent, Retryable, Unavailable
from soundlake.retries import retry_policy


class Failing:
    """Fails with the given errors, one per call, and then returns "done"."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self, *_arguments: object, **_named: object) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def make_errors(count: int) -> list[Unavailable]:
    return [Unavailable(f"failure {number}") for number in range(count)]


def test_a_call_that_succeeds_is_made_once_with_its_arguments():
    waits: list[float] = []
    policy = retry_policy(first_wait_seconds=1, longest_wait_seconds=8, stop=5, sleep=waits.append)
    assert policy(lambda left, *, right: (left, right), 1, right=2) == (1, 2)
    assert waits == []


def test_retryable_errors_are_retried_and_the_waits_stay_below_a_limit_that_doubles():
    limits = [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    drawn: list[list[float]] = [[] for _ in limits]
    for _ in range(200):
        call, waits = Failing(*make_errors(6)), list[float]()
        assert retry_policy(first_wait_seconds=1, longest_wait_seconds=8, stop=10, sleep=waits.append)(call) == "done"
        assert call.calls == 7
        for wait, seen in zip(waits, drawn, strict=True):
            seen.append(wait)
    for seen, limit in zip(drawn, limits, strict=True):
        assert 0 <= min(seen) < limit / 4
        assert limit * 3 / 4 < max(seen) <= limit


def test_the_last_error_is_raised_as_it_was_after_the_given_number_of_calls():
    errors = make_errors(5)
    call = Failing(*errors)
    with pytest.raises(Unavailable) as caught:
        retry_policy(first_wait_seconds=1, longest_wait_seconds=8, stop=3, sleep=lambda _: None)(call)
    assert caught.value is errors[2]
    assert call.calls == 3


@pytest.mark.parametrize("error", [Permanent("no"), ValueError("no"), KeyboardInterrupt()], ids=["permanent", "other", "interrupt"])
def test_other_errors_are_raised_at_once(error):
    call, waits = Failing(error), list[float]()
    with pytest.raises(type(error)) as caught:
        retry_policy(first_wait_seconds=1, longest_wait_seconds=8, stop=3, sleep=waits.append)(call)
    assert (caught.value is error, call.calls, waits) == (True, 1, [])


@pytest.mark.parametrize("on", [OSError, (OSError, KeyError)], ids=["one type", "several types"])
def test_only_errors_of_the_given_types_are_retried(on):
    policy = retry_policy(first_wait_seconds=1, longest_wait_seconds=8, stop=3, on=on, sleep=lambda _: None)
    assert policy(Failing(ConnectionError(), OSError())) == "done"
    with pytest.raises(Retryable):
        policy(Failing(Retryable("no")))


def test_any_condition_of_tenacity_can_end_the_retries():
    call = Failing(*make_errors(3))
    with pytest.raises(Unavailable):
        retry_policy(first_wait_seconds=1, longest_wait_seconds=8, stop=stop_after_delay(0), sleep=lambda _: None)(call)
    assert call.calls == 1


def test_each_retry_is_announced_before_its_wait():
    events: list[object] = []
    policy = retry_policy(
        first_wait_seconds=1, longest_wait_seconds=8, stop=5,
        sleep=lambda _: events.append("wait"), before_sleep=lambda state: events.append(str(state.outcome.exception())),
    )  # fmt: skip
    policy(Failing(*make_errors(2)))
    assert events == ["failure 0", "wait", "failure 1", "wait"]
