"""How much of true listening the poller's state machine finds, with every fault of the player's answers.

    python bench/spotify.py [--plays 10000] [--poll-s 5] [--seed 1] [--no-faults] [--worst 0]

Random listeners (plays, pauses, seeks, skips, repeats, podcasts, adverts, private sessions) are shown by a player that is wrong as
real ones are (tests/listening_timelines.py), polled at a fixed rhythm, with a restart every hundred answers or so. A true play counts
for recall if an answer showed it in time: what lies between two polls, or in an outage, nobody can see;
`possible` is the share of all plays that an answer showed. Aim: precision and recall 0.99,
`ms_played` and start within 6 s at p95. Progress and the worst plays on stderr, one JSON line on stdout.
"""

from __future__ import annotations

import argparse
import bisect
import json
import random
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.spotify_truth import choose_nearest
from tests.listening_timelines import ALL_FAULTS, NO_ANSWER, Faults, FaultyPlayer, Timeline, TruePlay, make_random_timeline

from soundlake.spotify.plays import Play, PlayTracker, restore_state, save_state
from soundlake.spotify.plays.instants import read_ms

_RESTARTS = 0.01
_LATEST_MATCH_MS = 60_000


def follow(timeline: Timeline, player: FaultyPlayer, poll_ms: int, seed: int) -> tuple[list[Play], set[int]]:
    """The plays found, and which true plays an answer has shown."""
    tracker, found, shown, draw = PlayTracker("bench"), [], set(), random.Random(seed)
    starts = [play.start_ms for play in timeline.plays]
    at_ms = timeline.segments[0].start_ms + draw.randrange(poll_ms)
    while at_ms < timeline.now_ms + 60_000:
        answer = player.answer(at_ms)
        if answer is not NO_ANSWER:
            found += [outcome for outcome in tracker.see(read_ms(at_ms), answer) if isinstance(outcome, Play)]  # type: ignore[arg-type]
            if answer is not None and answer.item is not None:  # type: ignore[attr-defined]
                place = bisect.bisect_right(starts, at_ms) - 1
                if place >= 0 and answer.item.name == timeline.plays[place].track.name:  # type: ignore[attr-defined]
                    shown.add(place)
        if draw.random() < _RESTARTS:
            tracker = PlayTracker("bench", restore_state(save_state(tracker.state)))
        at_ms += poll_ms
    found += [outcome for outcome in tracker.see(read_ms(at_ms + 13 * 3_600_000), None) if isinstance(outcome, Play)]
    return found, shown


def match(true: list[TruePlay], found: list[Play]) -> list[tuple[int, int]]:
    """Pairs of true and found plays of one song, each in one pair, the nearest starts first."""
    by_name: dict[str | None, list[int]] = {}
    for number, play in enumerate(found):
        by_name.setdefault(play.song.name, []).append(number)
    near = [
        (abs(found[number].started_ms - play.start_ms), place, number)
        for place, play in enumerate(true)
        for number in by_name.get(play.track.name, ())
        if abs(found[number].started_ms - play.start_ms) <= _LATEST_MATCH_MS
    ]
    return choose_nearest(near)


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=int, default=10_000)
    parser.add_argument("--poll-s", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--worst", type=int, default=0)
    options = parser.parse_args()
    timeline = make_random_timeline(options.plays, options.seed)
    player = FaultyPlayer(timeline, Faults() if options.no_faults else ALL_FAULTS, options.seed)
    begun = time.perf_counter()
    found, shown = follow(timeline, player, round(options.poll_s * 1000), options.seed)
    seconds = time.perf_counter() - begun
    pairs = match(timeline.plays, found)
    ms_errors = np.array([abs(found[number].ms_played - timeline.plays[place].ms) for place, number in pairs])
    start_errors = np.array([abs(found[number].started_ms - timeline.plays[place].start_ms) for place, number in pairs])
    matched = {place for place, _ in pairs}
    print_worst(timeline, found, pairs, shown, options.worst)
    print(json.dumps({
        "benchmark": "spotify", "true_plays": len(timeline.plays), "shown": len(shown), "found": len(found),
        "precision": round(len(pairs) / len(found), 4), "recall": round(len(matched & shown) / len(shown), 4),
        "recall_of_all": round(len(matched) / len(timeline.plays), 4), "possible": round(len(shown) / len(timeline.plays), 4),
        "ms_played_p50_p95_p99": np.percentile(ms_errors, [50, 95, 99]).round().tolist(),
        "start_p50_p95_p99": np.percentile(start_errors, [50, 95, 99]).round().tolist(), "seconds": round(seconds, 1),
    }))  # fmt: skip


def print_worst(timeline: Timeline, found: list[Play], pairs: list[tuple[int, int]], shown: set[int], count: int) -> None:
    """What was missed, invented and measured worst."""
    first_ms = timeline.segments[0].start_ms
    say = partial(print, file=sys.stderr)
    matched, used = {place for place, _ in pairs}, {number for _, number in pairs}
    for place in sorted(shown - matched)[:count]:
        play = timeline.plays[place]
        say(f"missed: {play.track.name} at {(play.start_ms - first_ms) / 1000} for {play.ms / 1000} s of {play.track.duration_ms}")
    for number in sorted(set(range(len(found))) - used)[:count]:
        play = found[number]
        say(f"invented: {play.song.name} at {(play.started_ms - first_ms) / 1000} for {play.ms_played / 1000} s, {play.reason_end}")
    worst = sorted(pairs, key=lambda pair: -abs(found[pair[1]].ms_played - timeline.plays[pair[0]].ms))
    for place, number in worst[:count]:
        true, play = timeline.plays[place], found[number]
        say(f"ms: {play.song.name} at {(true.start_ms - first_ms) / 1000}: {play.ms_played}, right is {true.ms}; {play.reason_end}")
    worst = sorted(pairs, key=lambda pair: -abs(found[pair[1]].started_ms - timeline.plays[pair[0]].start_ms))
    for place, number in worst[:count]:
        true, play = timeline.plays[place], found[number]
        say(f"start: {play.song.name} at {(true.start_ms - first_ms) / 1000}: {(play.started_ms - first_ms) / 1000}")


if __name__ == "__main__":
    main()
