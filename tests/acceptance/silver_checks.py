"""What silver, the poller's reports and the requests of a course must be: a check for each member of `expect`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

from tests.acceptance.pipeline import Observed
from tests.acceptance.player_answers import find_name
from tests.acceptance.silver_builds import Rows, Silver, describe_play

Case = Mapping[str, Any]
Differences = list[str]
_TOLERANCE_MS = 6_000
_OF_PLAY = frozenset({"track", "start", "ms", "tol", "skipped", "sources", "is_listen"})
_LONGEST_RETRY_S = 300 + 30
_DEGRADED_S = 60
_STALE_S = 30


def compare_course(observed: Observed, silver: Silver) -> Differences:
    """What is not as the case expects it."""
    expect = observed.course.case["expect"]
    found = _compare_orders(silver) + _check_gaps(observed)
    for name, right in expect.items():
        if name in CHECKS:
            found += CHECKS[name](observed, silver, right)
        elif name not in PROSE:
            found.append(f"not understood: expect {name}")
    if "plays" in expect:
        found += _check_now_playing(observed, silver, expect) + _check_skips(observed, silver, expect)
    return [f"{observed.course.prefix}silver: {line}" for line in found]


def _check_plays(observed: Observed, silver: Silver, expected: list[Case]) -> Differences:
    case = observed.course.case
    if all("start" in play for play in expected):
        expected = sorted(expected, key=lambda play: play["start"])
    names = [_fold(find_name(case, play["track"])) for play in expected]
    if [_fold(row["track_name"]) for row in silver.plays] != names:
        shown = [f"{row['track_name']} at {_seconds(observed, row)} by {row['matched_sources']}" for row in silver.plays]
        return [f"plays of {', '.join(shown) or 'nothing'}, right is {', '.join(play['track'] for play in expected) or 'nothing'}"]
    return [line for right, row in zip(expected, silver.plays, strict=True) for line in _check_play(observed, right, row)]


def _check_play(observed: Observed, right: Case, row: Mapping[str, Any]) -> Differences:
    track, tolerance, found = right["track"], right.get("tol", _TOLERANCE_MS), []
    start = _seconds(observed, row)
    if "start" in right and abs(start - right["start"]) * 1_000 > tolerance:
        found.append(f"{track} starts at {start}, right is {right['start']}")
    if "ms" in right:
        heard, wanted = row["ms_played"], right["ms"]
        is_right = heard is None if wanted is None else heard is not None and abs(heard - wanted) <= tolerance
        found += [] if is_right else [f"{track} has {heard} ms, right is {wanted}"]
    sources = row["matched_sources"].split(",")
    if "sources" in right and sources != sorted(right["sources"]):
        found.append(f"{track} is of {', '.join(sources)}, right is {', '.join(sorted(right['sources']))}")
    columns = {
        "is_skipped": right.get("skipped", row["is_skipped"]),
        **{name: value for name, value in right.items() if name not in _OF_PLAY},
    }
    columns |= {"is_listen": right["is_listen"]} if "is_listen" in right else {}
    return found + [f"{track} has {name} {row.get(name)}, right is {value}" for name, value in columns.items() if row.get(name) != value]


def _check_every_play(_: Observed, silver: Silver, columns: Case) -> Differences:
    return [
        f"{row['track_name']} has {name} {row[name]}, right is {value}"
        for row in silver.plays
        for name, value in columns.items()
        if row[name] != value
    ]


def _check_skips(observed: Observed, silver: Silver, expect: Case) -> Differences:
    """The skips that are named, or those of the plays that are named as skipped; of plays without a word on it there may be any."""
    case = observed.course.case
    expected = expect.get("skips", [play for play in expect["plays"] if play.get("skipped")])
    open_names = set() if "skips" in expect else {find_name(case, play["track"]) for play in expect["plays"] if "skipped" not in play}
    rows = [row for row in silver.skips if row["track_name"] not in open_names]
    names = [find_name(case, skip["track"]) for skip in expected]
    if [row["track_name"] for row in rows] != names:
        return [f"skips of {[row['track_name'] for row in rows]}, right is {names}"]
    return [
        f"{skip['track']} was skipped at {row['position_ms']}, right is {skip['position_ms']}"
        for skip, row in zip(expected, rows, strict=True)
        if "position_ms" in skip and abs(row["position_ms"] - skip["position_ms"]) > skip.get("tol", _TOLERANCE_MS)
    ]


def _check_now_playing(observed: Observed, silver: Silver, expect: Case) -> Differences:
    """A change of the song for each live play."""
    if not observed.reports:
        return []
    live = [play for play in expect["plays"] if "spotify_live" in play.get("sources", ["spotify_live"])]
    right = expect.get("now_playing", len(live))
    return [] if len(silver.now_playing) == right else [f"now_playing {len(silver.now_playing)}, right is {right}"]


def _compare_orders(silver: Silver) -> Differences:
    """The same plays if live events arrive last and files first."""
    first, other = (sorted(map(describe_play, rows)) for rows in (silver.plays, silver.reordered))
    return [] if first == other else [f"another order of arrival gives {other}, not {first}"]


def _check_gaps(observed: Observed) -> Differences:
    """Of each time without an answer: it is named within a minute, tried again at least every five minutes, and recorded."""
    found: Differences = []
    for state in observed.course.case["given"].get("states", ()):
        begin, end = state.get("gap", (0, 0))
        if end - begin < _DEGRADED_S * 2:
            continue
        named = [at for at, status in observed.statuses if any(account.live_failure for account in status.accounts) and begin < at < end]
        found += [] if named and named[0] - begin <= 2 * _DEGRADED_S else [f"no answer since {begin} and the status says so at {named[:1]}"]
        tries = [at for at, _ in observed.reports if begin <= at <= end + _LONGEST_RETRY_S]
        longest = max((after - before for before, after in pairwise([begin, *tries])), default=0.0)
        found += [] if longest <= _LONGEST_RETRY_S else [f"{longest:.0f} s between two tries"]
        answered = min((at for at, report in observed.reports if report.failure is None and at >= end), default=float("inf"))
        found += [] if answered - end <= _LONGEST_RETRY_S else [f"the first answer came {answered - end:.0f} s after the outage"]
    return found


def _check_gap_record(observed: Observed, _: Silver, right: Case) -> Differences:
    gaps = observed.listening.gaps if observed.listening else []
    shown = [((gap.begins_at - observed.start).total_seconds(), (gap.ends_at - observed.start).total_seconds()) for gap in gaps]
    is_right = (
        len(shown) == 1 and abs(shown[0][0] - right["from"]) <= _LONGEST_RETRY_S and abs(shown[0][1] - right["to"]) <= _LONGEST_RETRY_S
    )
    return [] if is_right else [f"gaps {shown}, right is {right}"]


def _check_status(observed: Observed, _: Silver, __: str) -> Differences:
    """Degraded is checked for each gap; an alarm comes too, and goes when there are answers again."""
    alarms = [bool(status.alarms) for _, status in observed.statuses]
    return [] if True in alarms and not alarms[-1] else ["no alarm, or one that does not end"]


def _check_page(observed: Observed, _: Silver, __: str) -> Differences:
    """No song is shown as playing, or not as stale, half a minute after its end by the clock."""
    late = [
        at
        for at, current in observed.shown
        if current is not None and not current.is_stale and current.song.duration_ms is not None
        and at - (current.started_ms / 1_000 - observed.start.timestamp()) > current.song.duration_ms / 1_000 + _STALE_S
        and current.position_ms >= current.song.duration_ms
    ]  # fmt: skip
    return [f"shown as playing at {late[0]}"] if late else []


def _check_polls(observed: Observed, _: Silver, __: str) -> Differences:
    """Slower once the song is over by the clock."""
    duration = max(ms for ms in observed.course.case["tracks"].values()) / 1_000
    times = [at for at, _ in observed.reports]
    before = [after - at for at, after in pairwise(times) if 0 <= at < duration - 10]
    stale = [after - at for at, after in pairwise(times) if at > duration + 600]
    is_slower = bool(before and stale) and min(stale) > 2 * max(before)
    return [] if is_slower else [f"polls every {before[:1]} s, and every {stale[:1]} s when stale"]


def _check_track_ids(_: Observed, silver: Silver, words: str) -> Differences:
    ids = {row["track_id"] for row in silver.plays}
    is_named = all(one.startswith("name:") for one in ids) or "name:" not in words
    empty = [name for row in silver.plays for name in ("artist_name", "album_name", "track_name") if row[name] == ""]
    return [] if len(ids) == len(silver.plays) and is_named and not empty else [f"track ids {sorted(ids)}, empty names {empty}"]


def _check_errors(observed: Observed, _: Silver, right: int) -> Differences:
    failures = [report.failure.message for _, report in observed.reports if report.failure]
    return [] if len(failures) == right else [f"{len(failures)} errors {failures[:1]}, right is {right}"]


def _check_lookups(observed: Observed, _: Silver, right: int) -> Differences:
    count = sum(len(observed.list_calls(f"/v1/{kind}/")) for kind in ("tracks", "albums", "artists", "episodes"))
    return [] if count == right else [f"{count} look-ups, right is {right}"]


def _check_private(observed: Observed, silver: Silver, right: int) -> Differences:
    """Changes of the song while the session is private."""
    states = [
        next(iter(state.values()))[:2]
        for state in observed.course.case["given"]["states"]
        if state.get("with", {}).get("is_private_session")
    ]
    seen = [_seconds(observed, row, "detected_at") for row in silver.now_playing]
    count = sum(begin + 5 <= at < end for at in seen for begin, end in states)
    return [] if count == right else [f"{count} changes of the song in private, right is {right}"]


def _check_idempotent(observed: Observed, silver: Silver, _: str) -> Differences:
    """The files are in bronze twice: the rows of silver are those of one import, which the plays show."""
    rows = sum(len(row["matched_sources"].split(",")) for row in silver.plays)
    ids = set(observed.events["history"]["event_id"].to_pylist())
    return [] if rows and len(ids) == len(observed.events["history"]) else ["an import gives one id twice"]


def _check_flag(_: Observed, silver: Silver, __: str) -> Differences:
    """Heard for longer than the track is long: kept, and nothing is cut."""
    return [] if any(row["ms_played"] > row["duration_ms"] for row in silver.plays) else ["no play is longer than its track"]


def _compare_number(name: str, find: Callable[[Rows], int], tolerance: int = 0) -> Callable[[Observed, Silver, int], Differences]:
    def check(_: Observed, silver: Silver, right: int) -> Differences:
        seen = find(silver.plays)
        return [] if abs(seen - right) <= tolerance else [f"{seen} {name}, right is {right}"]

    return check


def _check_between(_: Observed, silver: Silver, right: list[int]) -> Differences:
    return [] if right[0] <= len(silver.plays) <= right[1] else [f"{len(silver.plays)} plays, right is {right}"]


def _fold(name: str | None) -> str:
    """A title as two releases of one song share it."""
    return re.sub(r"[\W_]+", "", (name or "").casefold())


def _seconds(observed: Observed, row: Mapping[str, Any], name: str = "played_at") -> float:
    return round((row[name] - observed.start) / timedelta(seconds=1), 3)


CHECKS: dict[str, Callable[[Observed, Silver, Any], Differences]] = {
    "plays": _check_plays,
    "every_play": _check_every_play,
    "count": _compare_number("plays", len),
    "plays_between": _check_between,
    "total_ms": _compare_number("ms in total", lambda rows: sum(row["ms_played"] or 0 for row in rows), _TOLERANCE_MS),
    "listens": _compare_number("listens", lambda rows: sum(row["is_listen"] for row in rows)),
    "gap_record": _check_gap_record,
    "status": _check_status,
    "page": _check_page,
    "polls": _check_polls,
    "track_ids": _check_track_ids,
    "errors": _check_errors,
    "lookups_by_id": _check_lookups,
    "now_playing_during_private": _check_private,
    "idempotent": _check_idempotent,
    "quality_flag": _check_flag,
}
"""`skips` and `now_playing` have their checks wherever plays are expected: what is not named must not happen."""

PROSE = frozenset({
    "note", "rule", "any_order", "same_in_every_variant", "plays_cap", "skips", "now_playing", "retry", "without_live",
    "second_poller", "if_both_wrote_anyway", "recommendations", "recommendations_for_episode",
})  # fmt: skip
"""Reasons, arithmetic, and what is checked in every case (the order of arrival, each variant, retries in a gap), in a course of its own
(two pollers) or where recommendations are."""
