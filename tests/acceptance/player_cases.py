"""The state machine alone: feed the answers of a case to what follows an account, compare what comes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.acceptance.courses import Course
from tests.acceptance.player_answers import NO_ANSWER, T0_MS, Poll, find_name, list_polls, write_track

from soundlake.spotify.answers import read_answer
from soundlake.spotify.models import PlayerState
from soundlake.spotify.plays import NowPlaying, Outcome, Play, PlayTracker, Skip, restore_state, save_state
from soundlake.spotify.plays.current import find_current
from soundlake.spotify.plays.events import make_events
from soundlake.spotify.plays.instants import read_ms

Case = Mapping[str, Any]
ACCOUNT = "u"
_LATER_S = (5, 10, 15, 13 * 3600)
"""Empty answers after the end of a case, so that what is still open is closed."""
_OF_PLAY = frozenset({"track", "start", "ms", "tol", "skipped", "sources", "is_listen"})


def find_player_differences(course: Course) -> list[str]:
    """What the state machine alone makes of the answers at the rhythm of the case, not as expected; also with a restart after each."""
    case, found = course.case, []
    for phase in [poller.get("phase_s", 0) for poller in case["given"].get("pollers", [{}])]:
        polls = list(list_polls(case, phase_s=phase))
        plain, restarted = follow(polls, is_restarted=False), follow(polls, is_restarted=True)
        lines = compare(case, plain)
        if plain != restarted:
            lines.append(f"a restart after each answer changes {set(plain) ^ set(restarted)}")
        found += [f"{course.prefix}{f'phase {phase}: ' if phase else ''}{line}" for line in lines]
    return found


def follow(polls: Iterable[Poll], *, is_restarted: bool) -> list[Outcome]:
    """Feed answers to a tracker; after the last one nothing plays. `is_restarted`: its state is saved and restored after each."""
    tracker, outcomes, end_s = PlayTracker(ACCOUNT), [], 0.0
    for poll in polls:
        end_s = poll.at_s
        if poll.answer is NO_ANSWER:
            continue
        answer = poll.answer and read_answer(PlayerState, json.loads(json.dumps(poll.answer)))
        outcomes += tracker.see(_find_time(poll.at_s), answer)
        if is_restarted:
            tracker = PlayTracker(ACCOUNT, restore_state(save_state(tracker.state)))
    for later_s in _LATER_S:
        outcomes += tracker.see(_find_time(end_s + later_s), None)
    return outcomes


def compare(case: Case, outcomes: list[Outcome]) -> list[str]:
    """What differs from `expect`; a play, skip or change of what plays that is not named must not happen."""
    expect = case["expect"]
    plays = [outcome for outcome in outcomes if isinstance(outcome, Play)]
    skips = [outcome for outcome in outcomes if isinstance(outcome, Skip)]
    changes = sum(isinstance(outcome, NowPlaying) for outcome in outcomes)
    found = []
    if "plays" in expect:
        live = [play for play in expect["plays"] if "spotify_live" in play.get("sources", ["spotify_live"])]
        found += compare_plays(case, live, plays)
        right = expect.get("now_playing", len(live))
        found += [] if changes == right else [f"now_playing {changes}, right is {right}"]
        found += _compare_skips(case, expect.get("skips", [play for play in live if play.get("skipped")]), _drop_unnamed(case, live, skips))
    if "plays_between" in expect and not expect["plays_between"][0] <= len(plays) <= expect["plays_between"][1]:
        found.append(f"{len(plays)} plays, right is {expect['plays_between']}")
    if "total_ms" in expect and abs(sum(play.ms_played for play in plays) - expect["total_ms"]) > 6000:
        found.append(f"{sum(play.ms_played for play in plays)} ms in total, right is {expect['total_ms']}")
    if "listens" in expect and sum(map(_is_listen, plays)) != expect["listens"]:
        found.append(f"{sum(map(_is_listen, plays))} listens, right is {expect['listens']}")
    return found


def compare_plays(case: Case, expected: list[Mapping[str, Any]], plays: list[Play]) -> list[str]:
    """What differs between plays, both in the order of their starts."""
    plays = sorted(plays, key=lambda play: play.started_ms)
    names = [find_name(case, play["track"]) for play in expected]
    shown = [f"{play.song.name} at {(play.started_ms - T0_MS) / 1000}" for play in plays]
    if [play.song.name for play in plays] != names:
        return [f"plays of {', '.join(shown) or 'nothing'}, right is {', '.join(names) or 'nothing'}"]
    rows = make_events(ACCOUNT, plays).to_pylist() if plays else []
    return [line for right, play, row in zip(expected, plays, rows, strict=True) for line in _compare_play(right, play, row)]


def _compare_play(right: Mapping[str, Any], play: Play, row: Mapping[str, Any]) -> list[str]:
    tolerance, found = right.get("tol", 6000), []
    start_ms = play.started_ms - T0_MS
    if "start" in right and abs(start_ms - right["start"] * 1000) > tolerance:
        found.append(f"{right['track']} starts at {start_ms / 1000}, right is {right['start']}")
    if right.get("ms") is not None and abs(play.ms_played - right["ms"]) > tolerance:
        found.append(f"{right['track']} has {play.ms_played} ms, right is {right['ms']}")
    if "skipped" in right and play.is_skipped is not right["skipped"]:
        found.append(f"{right['track']} has skipped {play.is_skipped}, right is {right['skipped']}")
    if "is_listen" in right and _is_listen(play) is not right["is_listen"]:
        found.append(f"{right['track']} has is_listen {_is_listen(play)}, right is {right['is_listen']}")
    others = {name: value for name, value in right.items() if name not in _OF_PLAY}
    return found + [
        f"{right['track']} has {name} {row.get(name)}, right is {value}" for name, value in others.items() if row.get(name) != value
    ]


def _drop_unnamed(case: Case, live: list[Mapping[str, Any]], skips: list[Skip]) -> list[Skip]:
    """The skips without those of plays of which the case does not say whether they were skipped."""
    unnamed = set() if "skips" in case["expect"] else {find_name(case, play["track"]) for play in live if "skipped" not in play}
    return [skip for skip in skips if skip.play.song.name not in unnamed]


def _compare_skips(case: Case, expected: list[Mapping[str, Any]], skips: list[Skip]) -> list[str]:
    names = [find_name(case, skip["track"]) for skip in expected]
    if [skip.play.song.name for skip in skips] != names:
        return [f"skips of {[skip.play.song.name for skip in skips]}, right is {names}"]
    pairs = zip(expected, skips, strict=True)
    return [
        f"{right['track']} was skipped at {skip.position_ms}, right is {right['position_ms']}"
        for right, skip in pairs
        if "position_ms" in right and abs(skip.position_ms - right["position_ms"]) > right.get("tol", 6000)
    ]


def is_of_positions(case: Case) -> bool:
    """Whether a case is about the position that the page shows, not about plays."""
    return case["kind"] == "player" and "answers" in case["given"]


def find_position_differences(case: Case) -> list[str]:
    """What the page shows as position for each of a list of answers, at the time of the answer."""
    tracker, shown = PlayTracker(ACCOUNT), []
    letter = next(iter(case["tracks"]))
    for answer in case["given"]["answers"]:
        at = datetime.fromtimestamp(answer["fetched_at"], UTC)
        body = {"item": write_track(case, letter), "progress_ms": answer["progress_ms"], "is_playing": answer["is_playing"],
                "timestamp": answer["timestamp_ms"]}  # fmt: skip
        tracker.see(at, read_answer(PlayerState, body))
        current = find_current(tracker.state, at)
        shown.append(current and current.position_ms)
    right = case["expect"]["shown_position_ms"]
    unread = [f"not understood: expect {name}" for name in case["expect"].keys() - {"shown_position_ms", "wrong_values", "note"}]
    return unread + ([] if shown == right else [f"shown_position_ms {shown}, right is {right}"])


def _find_time(at_s: float) -> datetime:
    return read_ms(T0_MS) + timedelta(seconds=at_s)


def _is_listen(play: Play) -> bool:
    """The rule of silver."""
    duration = play.song.duration_ms
    is_short = duration is not None and duration < 30_000 and play.ms_played >= duration - 1000
    return play.song.content_type not in ("episode", "chapter") and (play.ms_played >= 30_000 or is_short)
