"""The cases of public bug reports beside the project, as its own command runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cases(shared, tmp_path_factory):
    """The cases as JSON, written by their own tool."""
    path = tmp_path_factory.mktemp("cases") / "cases.json"
    tool = shared / "cases" / "listening" / "check_cases.py"
    if not tool.is_file():
        pytest.skip(f"{tool} does not exist")
    subprocess.run([sys.executable, tool, "--json", path], check=True, capture_output=True)
    return path


def run(path, *ids):
    command = [sys.executable, "-m", "tests.acceptance.listening_cases", path, *ids]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


SLOW = ["F01", "F03", "F04", "F06", "F09", "K02"]


@pytest.mark.parametrize("case", ["F02", "F07", "F12", *(pytest.param(case, marks=pytest.mark.soak) for case in SLOW)])
def test_a_case_of_files_is_right(cases, case):
    done = run(cases, case)
    assert (done.returncode, done.stdout) == (0, f"{case}: right\n"), done.stderr


PLAYER = ["D03", "D04", "M01", "M05", "M06", "W01", "W03", "W05", "W06", "W07", "W10", "W11", "P03", "P04", "P05", "P07", "P08"]
MERGE = ["D01", "D05", "M02", "M07", "W08", "R01", "R03", "R04", "P09", "F10", "S05"]
RECENT = ["M04", "H06", "D07"]


def test_the_cases_of_players_of_recently_played_and_of_one_play_in_silver_are_right(cases):
    done = run(cases, *PLAYER, *RECENT, *MERGE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(f"{case}: right" for case in PLAYER + RECENT + MERGE)


def test_no_case_of_these_kinds_is_left_out(cases):
    kinds = {case["id"]: case["kind"] for case in json.loads(cases.read_text())}
    assert {case for case, kind in kinds.items() if kind in ("player", "recent", "merge")} == {*PLAYER, *RECENT, *MERGE}


SPOTIFY = ["T01", "T03", "T04", "T05", "T07", "T08", "T09", "H01", "H02", "H03", "H04"]


def test_the_cases_of_tokens_and_of_answers_over_http_are_right(cases):
    done = run(cases, *SPOTIFY)
    assert sorted(done.stdout.splitlines()) == sorted(f"{case}: right" for case in SPOTIFY), done.stderr


def test_a_case_that_differs_and_one_of_an_unknown_kind_have_their_exit_codes(tmp_path):
    wrong = {"id": "W1", "kind": "file", "given": {"csv": ["x"], "json": []}, "expect": {"csv_report": {"rows_read": 7}}}
    unknown = {"id": "U1", "kind": "opera", "given": {}, "expect": {}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([wrong, unknown]))
    assert run(path, "U1").returncode == 3
    done = run(path)
    assert done.returncode == 1
    assert "W1: CSV: rows_read None, right is 7" in done.stdout
    assert "U1: kind opera is not known" in done.stdout


def test_what_a_case_expects_otherwise_and_words_that_are_not_understood_are_named(tmp_path):
    given = {"states": [{"run": [0, 60, "A", 0]}, {"none": [60, 90]}], "variants": ["with the moon in the seventh house"]}
    wrong = {"plays": [{"track": "A", "start": 0, "ms": 30_000, "sources": ["lastfm"], "is_listen": False}], "skips": [{"track": "A"}],
             "now_playing": 2, "total_ms": 1, "listens": 0, "weather": 1}  # fmt: skip
    case = {"id": "X1", "kind": "player", "tracks": {"A": 60_000}, "given": given, "expect": wrong}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([case, {**case, "id": "X2", "expect": {}}]))
    done = run(path)
    differs, unread = done.stdout.splitlines()
    assert done.returncode == 1
    for text in ("A has 60", "A is of spotify_live", "A has is_listen True", "skips of []", "now_playing 1", "ms in total", "1 listens",
                 "expect weather", "variant with the moon"):  # fmt: skip
        assert text in differs, (text, differs)
    assert unread == "X2: not understood: variant with the moon in the seventh house"
    assert run(path, "X2").returncode == 3


def test_a_member_that_no_check_knows_is_named_in_place_of_a_verdict(tmp_path):
    answer = {"access_token": "a2", "token_type": "Bearer", "expires_in": 3600}
    token = {"id": "N1", "kind": "token", "given": {"answers": [answer]}, "expect": {"errors": 0, "refresh_token_after": ["r1"]}}
    http = {"id": "N2", "kind": "http", "given": {"answer": {"status": 429}, "moon": 1}, "expect": {"stop_within_s": 2}}
    steps = {"id": "N3", "kind": "recent", "given": {"steps": ["sing"]}, "expect": {"plays": []}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([{**token, "expect": {**token["expect"], "weather": 1}}, http, steps, {**token, "id": "N4"}]))
    done = run(path)
    assert done.stdout.splitlines() == [
        "N1: not understood: expect weather", "N2: not understood: given moon", "N3: not understood: step sing", "N4: right",
    ]  # fmt: skip
    assert done.returncode == 3
