"""Simulated listeners: the generator's plays, played on a player that is paused, sought in and put aside."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from soundlake.contract import EVENT_SCHEMA
from soundlake.generator import GeneratorConfig, make_world
from soundlake.spotify.fake import Habits, SimulatedListeners
from soundlake.spotify.fake.simulated import read_play
from soundlake.spotify.fake.timeline import HEARD

START = datetime(2026, 3, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1_000)
DAY_MS = 86_400_000
LISTENERS = range(8)
EAGER = Habits(pause_share=0.5, forward_share=0.5, back_share=0.5, device_share=0.5, private_share=0.3, is_free=True)


@pytest.fixture(scope="module")
def world():
    return make_world(GeneratorConfig(listeners=60, days=400, tracks=300, start=date(2026, 1, 1)))


def simulate(world, habits, days=20, steps=1, listeners=LISTENERS):
    simulated = SimulatedListeners(
        lambda number, from_ms, until_ms: world.make_listeners_span(number, 1, from_ms, until_ms),
        {number: f"fake-{number:02d}" for number in listeners},
        START_MS,
        dict.fromkeys(listeners, habits),
    )
    for step in range(1, steps + 1):
        simulated.extend_to(START_MS + days * DAY_MS * step // steps)
    return [timeline for timeline in simulated.timelines if len(timeline.segments) > 1]


@pytest.fixture(scope="module")
def eager(world):
    """The time lines of listeners who do everything often."""
    return simulate(world, EAGER)


def test_segments_follow_one_another_without_a_hole_and_progress_never_runs_over(eager):
    for timeline in eager:
        for before, segment in pairwise(timeline.segments):
            assert before.end_ms == segment.start_ms
            assert segment.track is None or 0 <= segment.find_progress(segment.end_ms) <= segment.track.duration_ms


def test_everything_that_listeners_do_happens(eager):
    timelines = eager
    segments = [segment for timeline in timelines for segment in timeline.segments]
    assert {segment.motion for segment in segments} == {"run", "hold", "none", "null_item"}
    assert {segment.mode.repeat for segment in segments} == {"off", "track"}
    assert None in {segment.mode.device.id for segment in segments}
    assert {segment.track.type for segment in segments if segment.track} == {"track", "episode"}
    pairs = [(a, b) for timeline in timelines for a, b in pairwise(timeline.segments) if a.play == b.play is not None]
    assert any(b.progress_ms > a.find_progress(a.end_ms) for a, b in pairs)  # a seek forward
    assert any(b.progress_ms < a.find_progress(a.end_ms) for a, b in pairs)  # and one back
    assert any(a.mode.is_private != b.mode.is_private for a, b in pairs)
    assert any(a.mode.device != b.mode.device for a, b in pairs)
    plays = [play for timeline in timelines for play in timeline.list_plays()]
    assert {"trackdone", "fwdbtn", "endplay"} <= {play.reason_end for play in plays}
    assert any(play.heard_ms and play.private_ms for play in plays)
    assert any(play.is_offline for play in plays)


def test_the_truth_adds_up_to_what_the_segments_play(eager):
    for timeline in eager:
        heard = sum(one.end_ms - one.start_ms for one in timeline.segments if one.motion in HEARD)
        plays = timeline.list_plays()
        assert sum(play.heard_ms + play.private_ms for play in plays) == heard
        assert all(before.end_ms <= play.start_ms or play.private_ms or before.private_ms for before, play in pairwise(plays))


def test_quiet_habits_play_what_the_generator_says_but_for_songs_begun_again(world):
    quiet = Habits(0, 0, 0, 0, 0)
    (timeline,) = simulate(world, quiet, days=7, listeners=[0])
    number = int(timeline.account.removeprefix("fake-"))
    events = world.make_listeners_span(number, 1, START_MS, START_MS + 7 * DAY_MS).to_pylist()
    wanted = sorted((row for row in events if row["event_type"] == "play"), key=lambda row: row["played_at"])
    heard = [play for play in timeline.list_plays() if play.heard_ms]
    places: list[int] = []
    for play in heard[: len(wanted) // 2]:
        places.append(find_planned(wanted, play, from_place=places[-1] + 1 if places else 0))
    assert len(places) > 5
    for left_out in set(range(places[-1])) - set(places):
        row, before = wanted[left_out], wanted[left_out - 1]
        began_again = row["track_id"] == before["track_id"] and before["reason_end"] != "trackdone"
        assert began_again or not row["ms_played"]


def find_planned(wanted, play, from_place):
    """The first place from there on of the play that the generator says; what would overlap begins later."""
    return next(
        place
        for place in range(from_place, len(wanted))
        if abs(play.start_ms - wanted[place]["played_at"].timestamp() * 1_000) < 600_000
        and wanted[place]["track_name"] == play.track.name
        and (play.heard_ms == wanted[place]["ms_played"] or play.is_private or play.reason_end != "trackdone")
    )


@pytest.mark.parametrize(("stop_ms", "fewest", "most"), [(55_000, 60, 110), (45_000, 200, 200)], ids=["5 s later", "15 s later"])
def test_a_song_that_was_left_seldom_begins_again_within_seconds(world, stop_ms, fewest, most):
    rows = world.make_listeners_span(0, 1, START_MS, START_MS + 7 * DAY_MS).to_pylist()
    left = replace(read_play(next(row for row in rows if row["event_type"] == "play")), stop_ms=stop_ms, reason_end="fwdbtn")
    plays = [replace(left, start_ms=START_MS + number * 60_000) for number in range(200)]
    assert fewest <= len(SimulatedListeners(lambda *_: EVENT_SCHEMA.empty_table(), {}, START_MS)._leave_out_hasty(plays)) <= most


def test_time_lines_are_the_same_in_whatever_steps_they_grow(world, eager):
    whole, stepwise = eager, simulate(world, EAGER, steps=7)
    assert [timeline.segments for timeline in whole] == [
        timeline.segments[: len(other.segments)] for timeline, other in zip(stepwise, whole, strict=True)
    ]
    assert [timeline.listings for timeline in whole] == [timeline.listings for timeline in stepwise]


def test_the_list_has_public_tracks_played_to_the_end_and_offline_ones_late(eager):
    late = 0
    for timeline in eager:
        plays = {play.play: play for play in timeline.list_plays()}
        assert plays
        ends_private = {segment.play: segment.mode.is_private for segment in timeline.segments if segment.motion in HEARD}
        for listing in timeline.listings:
            play = plays[listing.play]
            assert play.track.type == "track"
            assert play.start_ms - play.private_ms <= listing.played_at_ms <= play.end_ms + play.private_ms or play.private_ms
            assert listing.is_repeat or (play.reason_end == "trackdone" and not ends_private[listing.play])
            late += play.is_offline and listing.listed_ms > play.end_ms + 60_000
    assert late


def test_a_shortened_silence_makes_a_listener_play_round_the_clock(world):
    (timeline,) = simulate(world, Habits(0, 0, 0, 0, 0, longest_idle_s=8, is_seen=True), days=3, listeners=[0])
    until_ms = START_MS + 3 * DAY_MS
    segments = [segment for segment in timeline.segments if segment.end_ms <= until_ms]
    assert all(segment.end_ms - segment.start_ms <= 8_000 for segment in segments if segment.motion not in HEARD)
    assert timeline.end_ms >= until_ms
    assert not any(segment.is_offline or segment.mode.is_private for segment in timeline.segments)


def test_a_listener_who_is_away_for_good_lets_time_pass():
    for idle_s in (None, 8):
        simulated = SimulatedListeners(lambda *_: EVENT_SCHEMA.empty_table(), {1: "gone"}, START_MS, {1: Habits(longest_idle_s=idle_s)})
        simulated.extend_to(START_MS + timedelta(days=900) // timedelta(milliseconds=1))
        (timeline,) = simulated.timelines
        assert timeline.list_plays() == []
