"""When the poller asks again."""

from datetime import UTC, datetime, timedelta

import pytest

from soundlake.spotify.models import Device, PlayerState, Track
from soundlake.spotify.plays import PlayTracker
from soundlake.spotify.plays.instants import write_ms
from soundlake.spotify.plays.planner import FLOOR_MS, Pace, plan_poll

T0 = datetime(2026, 1, 1, 20, tzinfo=UTC)
TRACK = Track(id="1" * 22, name="Song", duration_ms=200_000)


def follow(*answers):
    """A tracker that has seen answers: (second, progress in s or None for 204, playing)."""
    tracker = PlayTracker("me")
    for second, progress_s, is_playing in answers:
        state = None if progress_s is None else PlayerState(is_playing=is_playing, item=TRACK, progress_ms=round(progress_s * 1000))
        tracker.see(T0 + timedelta(seconds=second), state)
    return tracker.state


def wait(state, second, pace=None):
    """Seconds until the next poll."""
    now_ms = write_ms(T0) + second * 1000
    return (plan_poll(state, now_ms, pace or Pace()) - now_ms) / 1000


PLAYING = [(0, 0.5, True), (5, 5.5, True), (10, 10.5, True)]


def test_a_song_that_plays_is_asked_for_every_5_seconds_while_there_are_calls():
    assert wait(follow(*PLAYING), 10) == 5


@pytest.mark.parametrize(("share_left", "seconds"), [(0.5, 5), (0.25, 10), (0.1, 25), (0.0, 60)])
def test_fewer_calls_make_longer_waits_but_no_gap_in_what_is_heard(share_left, seconds):
    assert wait(follow(*PLAYING), 10, Pace(share_left)) == seconds


def test_the_poll_is_aimed_at_the_expected_end():
    near = follow(*PLAYING, (160, 160.5, True))
    assert wait(near, 160, Pace(0.1)) == 25
    assert wait(follow(*PLAYING, (170, 170.5, True)), 170, Pace(0.1)) == 31  # 1.5 s after the end, in place of 25 s and then 50 s
    assert wait(follow(*PLAYING, (190, 190.5, True)), 190, Pace(0.1)) == 11
    assert wait(follow(*PLAYING, (196, 196.5, True)), 196, Pace(0.1)) == 5


def test_what_is_not_confirmed_is_asked_for_at_the_floor():
    assert wait(follow(*PLAYING, (15, None, False)), 15, Pace(0.1)) == 5
    assert wait(follow((0, None, False), (5, 0, True)), 5, Pace(0.1)) == 5


def test_a_private_session_is_followed_closely_for_ten_minutes():
    tracker = PlayTracker("me", follow(*PLAYING))
    private = PlayerState(is_playing=True, item=TRACK, progress_ms=15_000, device=Device(is_private_session=True))
    for second in range(15, 45, 5):
        tracker.see(T0 + timedelta(seconds=second), private)
    assert [wait(tracker.state, second) for second in (40, 600, 700)] == [5, 5, 60]


def test_an_idle_account_is_asked_less_and_less_often():
    paused = follow(*PLAYING, (15, 12, False))
    assert [wait(paused, second) for second in (20, 300, 1_000, 10_000)] == [15, 30, 60, 120]
    ended = follow(*PLAYING, (198, 198.5, True), (200, None, False), (205, None, False), (210, None, False), (215, None, False))
    assert [wait(ended, second) for second in (215, 10_000)] == [15, 120]
    assert wait(follow((0, None, False)), 0) == 15
    assert wait(ended, 10_000, Pace(0.25)) == 240
    assert wait(ended, 10_000, Pace(0.0)) == 300


def test_the_floor_is_kept_and_longer_where_listeners_share_the_calls():
    assert wait(follow(*PLAYING), 10, Pace(floor_ms=12_000)) == 12
    assert FLOOR_MS == 5_000
