"""The small exports and event files of public bug reports beside the project, with their own checker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_LISTING = Path(__file__).parents[3] / "shared" / "cases" / "imports" / "cases.json"
_IDS = [case["id"] for case in json.loads(_LISTING.read_text())] if _LISTING.is_file() else []
_INCOMPLETE = {"30-folder": "expects three rows of a folder whose only part has two"}
_QUICK = ("01-generation-without-uri", "18-renamed", "30-array")
"""Run by `make test`, the others by `make soak`: a case imports and builds by commands, 20 s of processor time each."""


def list_cases():
    """The cases with their marks."""
    for case in _IDS:
        marks = [] if case in _QUICK else [pytest.mark.soak]
        if case in _INCOMPLETE:
            marks.append(pytest.mark.xfail(reason=_INCOMPLETE[case]))
        yield pytest.param(case, marks=marks)


@pytest.mark.skipif(not _IDS, reason=f"{_LISTING} does not exist")
@pytest.mark.parametrize("case", list(list_cases()))
def test_a_case_is_right(case):
    program = Path(sys.executable).with_name("soundlake")
    command = [sys.executable, _LISTING.with_name("check.py"), "--soundlake", program, case]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
