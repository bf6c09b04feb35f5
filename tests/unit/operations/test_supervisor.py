"""The supervisor: starts, starts again, stops; and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from soundlake.errors import Unavailable
from soundlake.operations.services import Service, Supervisor

PATIENCE_SECONDS = 15


@pytest.fixture
def make_service(tmp_path):
    """A service that runs a piece of Python in which `note(text)` writes a line to the returned file."""

    def make(name: str, code: str) -> tuple[Service, Path]:
        notes = tmp_path / f"{name}.notes"
        prelude = f"import os, signal, sys, time\ndef note(t): print(t, file=open({str(notes)!r}, 'a'), flush=True)\n"
        return Service(name, (sys.executable, "-c", prelude + code)), notes

    return make


def wait_for(condition) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def lines_of(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def test_a_service_that_ends_is_started_again(tmp_path, make_service):
    service, notes = make_service("short", "note('up'); sys.exit(3)")
    with Supervisor(tmp_path / "logs", os.environ) as supervisor:
        supervisor.start([service])
        happened: list[str] = []
        assert wait_for(lambda: happened.extend(supervisor.watch()) or len(lines_of(notes)) >= 2)
    assert "short ended with code 3" in happened[0]
    assert "short.log" in happened[0]


def test_leaving_asks_each_service_to_end(tmp_path, make_service):
    code = "signal.signal(signal.SIGTERM, lambda *_: (note('asked'), sys.exit(0)))\nnote('up')\nwhile True: time.sleep(0.1)"
    service, notes = make_service("polite", code)
    with Supervisor(tmp_path / "logs", os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
    assert lines_of(notes) == ["up", "asked"]


def test_what_a_service_prints_stands_in_its_log(tmp_path, make_service):
    service, notes = make_service("talker", "print('hello from the service', flush=True); note('up'); time.sleep(60)")
    with Supervisor(tmp_path / "logs", os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
    assert "hello from the service" in (tmp_path / "logs" / "talker.log").read_text()


def test_a_program_that_is_not_there_is_named(tmp_path):
    with Supervisor(tmp_path / "logs", os.environ) as supervisor, pytest.raises(Unavailable, match="no-such-program"):
        supervisor.start([Service("ghost", ("no-such-program",))])
