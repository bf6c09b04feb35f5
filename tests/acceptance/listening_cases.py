"""Run the cases of public bug reports that a JSON file lists: a line a case.

    python -m tests.acceptance.listening_cases FILE.json [ID …]

Exit code 0 if every case is right, 1 if one differs, 3 if one is of a kind that is not known, or has a member or a variant that is
not understood. Cases of the kinds `player` and `merge` go through the fake Spotify, client, poller and backfill in virtual time; silver is
built of all of them at once. The other kinds are a function in KINDS that returns the differences of a case.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.courses import Course, list_courses
from tests.acceptance.file_cases import find_file_differences
from tests.acceptance.pipeline import Observed, observe
from tests.acceptance.player_cases import find_player_differences, find_position_differences, is_of_positions
from tests.acceptance.recent_cases import find_recent_differences
from tests.acceptance.silver_builds import build_silver
from tests.acceptance.silver_checks import compare_course
from tests.acceptance.spotify_cases import find_http_differences, find_token_differences
from tests.acceptance.two_pollers import find_two_poller_differences, observe_both

Case = Mapping[str, Any]
Differences = list[str]
KINDS: dict[str, Callable[[Case, Path], Differences]] = {
    "file": find_file_differences,
    "token": find_token_differences,
    "http": find_http_differences,
    "recent": find_recent_differences,
}
FOLLOWED = ("player", "merge")
"""Kinds that end in silver."""
_DIFFERS, _UNKNOWN = 1, 3


def run_cases(cases: Sequence[Case], wanted: set[str]) -> int:
    """Print a line for each of the wanted cases (all if none is named); the exit code."""
    chosen = [case for case in cases if not wanted or case["id"] in wanted]
    found: dict[str, Differences] = {case["id"]: [] for case in chosen}
    unread: dict[str, Differences] = {case["id"]: [] for case in chosen}
    with tempfile.TemporaryDirectory() as scratch:
        followed = [case for case in chosen if case["kind"] in FOLLOWED and not is_of_positions(case)]
        _run_followed(followed, Path(scratch), found, unread)
        for number, case in enumerate(chosen):
            folder = Path(scratch) / f"case-{number}"
            folder.mkdir()
            if is_of_positions(case):
                found[case["id"]] += find_position_differences(case)
            elif case["kind"] in KINDS:
                found[case["id"]] += KINDS[case["kind"]](case, folder)
            elif case["kind"] not in FOLLOWED:
                unread[case["id"]].append(f"kind {case['kind']} is not known")
    codes = {0}
    for name, every_line in found.items():
        lines = [line for line in every_line if "not understood: " not in line]
        unread[name] += [line for line in every_line if "not understood: " in line]
        codes |= ({_DIFFERS} if lines else set()) | ({_UNKNOWN} if unread[name] else set())
        print(f"{name}: {'; '.join([*lines, *unread[name]]) or 'right'}", flush=True)
    return _DIFFERS if _DIFFERS in codes else max(codes)


def _run_followed(cases: Sequence[Case], scratch: Path, found: dict[str, Differences], unread: dict[str, Differences]) -> None:
    """Follow the courses of these cases, build silver once, and compare."""
    observed: list[Observed] = []
    for case in cases:
        courses, words = list_courses(case)
        unread[case["id"]] += [f"not understood: variant {one}" for one in words]
        for course in courses:
            if "states" in course.case["given"]:
                found[case["id"]] += find_player_differences(course)
            observed.append(_follow(course, scratch))
        if "pollers" in case["given"]:
            found[case["id"]] += find_two_poller_differences(case, scratch / "two-pollers" / case["id"])
            observed.append(observe_both(case, scratch / "both" / case["id"]))
    if observed:
        silver = build_silver(observed, scratch)
        for one in observed:
            found[one.course.case["id"]] += compare_course(one, silver[one.course.user])


def _follow(course: Course, scratch: Path) -> Observed:
    folder = scratch / "homes" / course.user
    folder.mkdir(parents=True)
    return observe(course, folder)


if __name__ == "__main__":
    sys.exit(run_cases(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), set(sys.argv[2:])))
