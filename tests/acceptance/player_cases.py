"""Cases of the kinds `player` and `recent`: feed the answers of a case to what follows an account, compare what comes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.acceptance.player_answers import NO_ANSWER, T0_MS, Poll, find_name, list_polls, write_track
from tests.acceptance.player_variants import make_variant, move_plays

from soundlake.spotify.answers import read_answer, read_recent_page
from soundlake.spotify.models import PlayerState
from soundlake.spotify.plays import NowPlaying, Outcome, Play, PlayTracker, Skip, restore_state, save_state
from soundlake.spotify.plays.current import find_current
from soundlake.spotify.plays.events import make_events
from soundlake.spotify.plays.instants import read_ms
from soundlake.spotify.plays.recent import RecentState, make_recent_events, take_page

Case = Mapping[str, Any]
ACCOUNT = "u"
_LATER_S = (5, 10, 15, 13 * 3600)
"""Empty answers after the end of a case, so that what is still open is closed."""
_PROSE = frozenset({"note", "rule", "any_order", "same_in_every_variant", "errors", "plays_cap", "quality_flag"})
_ELSEWHERE = frozenset({"second_poller", "if_both_wrote_anyway", "gap_record", "status", "retry", "lookups_by_id", "page", "polls"})
"""What needs the poller, the warehouse or the page."""
_OF_PLAY = frozenset({"track", "start", "ms", "tol", "skipped", "sources", "is_listen"})


def find_player_differences(case: Case, folder: Path) -> list[str]:
    """What is not as a case of the kind `player` expects it, in its variants too."""
    if "answers" in case["given"]:
        return find_position_differences(case)
    found = _find_unknown(case["expect"])
    phases = [poller.get("phase_s", 0) for poller in case["given"].get("pollers", [{}])]
    runs = {f"phase {phase}" if phase else "": (case, list(list_polls(case, phase_s=phase))) for phase in phases}
    for words in case["given"].get("variants", ()):
        variant = make_variant(case["given"]["states"], words)
        if variant is None:
            print(f"{case['id']}: not run: variant {words}", file=sys.stderr)
        else:
            right = {**case, "expect": move_plays(case["expect"], variant)}
            runs[words] = (right, list(list_polls(case, states=variant.states)))
    for name, (right, polls) in runs.items():
        plain, restarted = follow(polls, is_restarted=False), follow(polls, is_restarted=True)
        lines = compare(right, plain)
        if plain != restarted:
            lines.append(f"a restart after each answer changes {set(plain) ^ set(restarted)}")
        found += [f"{name}: {line}" if name else line for line in lines]
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
        found += _compare_recent_only(case, expect["plays"])
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


def _compare_recent_only(case: Case, expected: list[Mapping[str, Any]]) -> list[str]:
    """Plays that only recently-played knows have no time heard."""
    only = [play for play in expected if play.get("sources") == ["spotify_recent"]]
    entries = [*case["given"].get("recent", ()), *case["given"].get("recent_after_gap", ())]
    page = read_recent_page({"items": [write_entry(case, *entry) for entry in entries]})
    plays = take_page(ACCOUNT, RecentState(), page).plays
    rows = make_recent_events(ACCOUNT, plays).to_pylist() if plays else []
    return [
        f"{play['track']} by recently-played: {row}"
        for play in only
        if not any(row["track_name"] == find_name(case, play["track"]) and row.get("ms_played") is None for row in rows)
        for row in [rows]
    ]


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
    return [] if shown == right else [f"shown_position_ms {shown}, right is {right}"]


def find_recent_differences(case: Case, folder: Path) -> list[str]:
    """What is not as a case of the kind `recent` expects it."""
    given, expect = case["given"], case["expect"]
    if "steps" in given:
        return [f"not run: {'; '.join(given['steps'])}"]
    pages = given["answers"] if "answers" in given else given["fetches"]
    state, results, gaps = _store(case), [], []
    for page in pages:
        if isinstance(page, Mapping) and isinstance(page.get("items"), int):
            state = _store(case)
        answer = read_recent_page({"items": list(_write_entries(case, page))})
        fetched = take_page(ACCOUNT, state, answer)
        gaps += [fetched.gap] if fetched.gap else []
        results.append({"stored": len(fetched.plays), "counted_as_unreadable": fetched.unreadable, "new_rows_per_fetch": len(fetched.plays),
                        "gap_records_per_fetch": int(fetched.gap is not None)})  # fmt: skip
    found = [
        f"{name} {[result[name] for result in results]}, right is {expect[name]}"
        for name in results[0]
        if name in expect and [result[name] for result in results] != expect[name]
    ]
    right = expect.get("gap_record")
    if right and [(gap.from_ms - T0_MS, gap.to_ms - T0_MS) for gap in gaps] != [(right["from"] * 1000, right["to"] * 1000)]:
        found.append(f"gaps {gaps}, right is {right}")
    return found


def _store(case: Case) -> RecentState:
    """The state before the first fetch."""
    newest = case["given"].get("stored_newest")
    state = RecentState()
    if newest is not None:
        take_page(ACCOUNT, state, read_recent_page({"items": [write_entry({**case, "tracks": {}}, "S", newest)]}))
    return state


def _write_entries(case: Case, page: Any) -> Iterable[dict[str, Any]]:
    """The entries of a page: a list of them, or how many there are, from when to when, and how many of them are stored already."""
    items = page["items"] if isinstance(page, Mapping) else page
    if not isinstance(items, int):
        yield from (
            write_entry(case, *entry) if isinstance(entry, list) else write_entry(case, entry["track"], entry["played_at"])
            for entry in items
        )
        return
    shared = page.get("shares_with_stored", 0)
    for number in range(items):
        at = page["oldest"] + (page["newest"] - page["oldest"]) * number / max(items - 1, 1)
        is_stored = number < shared
        yield write_entry({**case, "tracks": {}}, "S" if is_stored else f"N{number}", case["given"]["stored_newest"] if is_stored else at)


def write_entry(case: Case, letter: str | None, played_at: float | str | None) -> dict[str, Any]:
    """An entry of recently-played."""
    stamp = played_at if isinstance(played_at, str) or played_at is None else _find_time(played_at).isoformat().replace("+00:00", "Z")
    return {"track": None if letter is None else write_track(case, letter), "played_at": stamp, "context": None}


def _find_time(at_s: float) -> datetime:
    return read_ms(T0_MS) + timedelta(seconds=at_s)


def _is_listen(play: Play) -> bool:
    """The rule of silver."""
    duration = play.song.duration_ms
    is_short = duration is not None and duration < 30_000 and play.ms_played >= duration - 1000
    return play.song.content_type not in ("episode", "chapter") and (play.ms_played >= 30_000 or is_short)


def _find_unknown(expect: Mapping[str, Any]) -> list[str]:
    known = _PROSE | _ELSEWHERE | {"plays", "plays_between", "total_ms", "listens", "skips", "now_playing", "now_playing_during_private",
                                   "recommendations_for_episode", "track_ids"}  # fmt: skip
    return [f"not understood: expect {name}" for name in expect.keys() - known if not isinstance(expect[name], str)]
