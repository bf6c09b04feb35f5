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


def test_a_case_that_differs_and_one_of_an_unknown_kind_have_their_exit_codes(tmp_path):
    wrong = {"id": "W1", "kind": "file", "given": {"csv": ["x"], "json": []}, "expect": {"csv_report": {"rows_read": 7}}}
    unknown = {"id": "U1", "kind": "opera", "given": {}, "expect": {}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([wrong, unknown]))
    assert run(path, "U1").returncode == 3
    done = run(path)
    assert done.returncode == 1
    assert "W1: CSV: rows_read None, right is 7" in done.stdout
    assert "U1: kind opera is not known yet" in done.stdout
