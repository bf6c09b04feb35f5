"""Waiting between attempts."""

from __future__ import annotations

import random

import pytest

from soundlake.broker.backoff import Backoff
from soundlake.errors import DataError, Unavailable


def call_until(successes_after: int, error: Exception, **options):
    waits: list[float] = []
    calls: list[int] = []

    def function(value: int) -> int:
        calls.append(value)
        if len(calls) <= successes_after:
            raise error
        return value * 2

    backoff = Backoff(sleep=waits.append, random=random.Random(1), **options)
    return waits, calls, lambda: backoff.call(function, 21)


def test_what_gets_better_is_tried_again_after_growing_waits():
    waits, calls, run = call_until(4, Unavailable("down"), attempts=6, first_wait_seconds=1, longest_wait_seconds=5)
    assert run() == 42
    assert len(calls) == 5
    assert [low <= wait <= high for wait, (low, high) in zip(waits, [(0.5, 1), (1, 2), (2, 4), (2.5, 5)], strict=True)] == [True] * 4


def test_it_ends_with_the_last_error():
    waits, calls, run = call_until(99, Unavailable("down"), attempts=3)
    with pytest.raises(Unavailable, match="down"):
        run()
    assert (len(calls), len(waits)) == (3, 2)


def test_what_cannot_get_better_is_not_tried_again():
    waits, calls, run = call_until(99, DataError("no"))
    with pytest.raises(DataError, match="no"):
        run()
    assert (len(calls), waits) == (1, [])


def test_two_callers_do_not_wait_alike():
    waits: list[list[float]] = [[], []]
    for seed, own in enumerate(waits):
        backoff = Backoff(attempts=4, sleep=own.append, random=random.Random(seed))
        with pytest.raises(Unavailable):
            backoff.call(_refuse)
    assert waits[0] != waits[1]


def _refuse() -> None:
    raise Unavailable("down")
