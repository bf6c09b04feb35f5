"""A clock that is set and sped up, and a loop on which waiting takes no time."""

import asyncio
import time
from datetime import timedelta

import pytest
from tests.unit.spotify.fake.listening import T0, HandClock

from soundlake.spotify.fake import AdjustableClock, run_in_virtual_time


def test_a_clock_is_sped_up_and_set_without_a_jump_in_between():
    hand = HandClock()
    clock = AdjustableClock(T0, speed=10, monotonic=hand)
    hand.seconds = 6
    clock.set(speed=1)
    assert clock() == T0 + timedelta(seconds=60)
    hand.seconds = 8
    assert clock() == T0 + timedelta(seconds=62)
    clock.set(now=T0)
    hand.seconds = 9
    assert clock() == T0 + timedelta(seconds=1)


def test_months_pass_in_no_time_and_timeouts_agree():
    async def live(clock):
        order = []

        async def wait(seconds):
            await clock.sleep(seconds)
            order.append((seconds, clock()))

        await asyncio.gather(wait(86_400 * 90), wait(5), wait(60))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return order, clock()

    begun = time.monotonic()
    order, end = run_in_virtual_time(live, T0)
    assert order == [(seconds, T0 + timedelta(seconds=seconds)) for seconds in (5, 60, 86_400 * 90)]
    assert end == T0 + timedelta(days=90, seconds=30)
    assert time.monotonic() - begun < 60


def test_time_does_not_move_while_a_thread_works():
    async def live(clock):
        timer = asyncio.create_task(clock.sleep(3_600))
        await asyncio.to_thread(time.sleep, 0.05)
        is_early = not timer.done()
        await timer
        return is_early, clock()

    is_early, end = run_in_virtual_time(live, T0)
    assert is_early
    assert end < T0 + timedelta(seconds=3_601)
