"""`up` beside a stack that somebody else brings up: it waits for all of it, and says what goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from soundlake.cli.terminal import show_progress
from soundlake.cli.up import await_stack
from soundlake.errors import Unavailable
from soundlake.local_files import try_lock
from soundlake.operations.stack import is_up, join
from soundlake.operations.stack.lifecycle import STACK_LOCK
from soundlake.supervisor.run_file import ProcessId, RunRecord, ServiceRecord, State, write_run

Write = Callable[..., None]


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the supervisor of a stack."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def write(tmp_path, supervisor) -> Write:
    def write_down(kafka: State, *, is_complete: bool) -> None:
        own = ProcessId.of(supervisor.pid)
        service = ServiceRecord(name="kafka", state=kafka, process=own, since=datetime.now(UTC), restarts=0, log=tmp_path / "kafka.log")
        (tmp_path / "stack").mkdir(exist_ok=True)
        write_run(tmp_path / "stack", RunRecord(supervisor=own, services=(service,), is_complete=is_complete))

    return write_down


def test_beside_a_stack_that_is_still_starting_it_waits_for_all_of_it(tmp_path, write):
    write(State.STARTING, is_complete=False)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        write(State.RUNNING, is_complete=len(told) > 2)

    assert join(tmp_path / "stack", tell, 10).is_complete
    assert told == ["waiting for kafka", "waiting for topics and tables", "waiting for topics and tables"]


def test_a_stack_that_ends_instead_of_coming_up_is_not_called_up(tmp_path, write, supervisor):
    write(State.STARTING, is_complete=False)
    threading.Timer(0.5, supervisor.kill).start()
    with pytest.raises(Unavailable, match=r"has ended instead of coming up\n→ see .*supervisor\.log"):
        join(tmp_path / "stack", lambda _: None, 20)


def test_after_a_while_it_says_what_is_missing_and_how_to_end_it(tmp_path, write):
    write(State.STARTING, is_complete=False)
    with pytest.raises(Unavailable, match=r"not up after 1 s, waiting for kafka; it goes on by itself\n→ .*make down"):
        join(tmp_path / "stack", lambda _: None, 1)


def test_one_that_has_only_its_lock_yet_counts_as_coming_up(tmp_path):
    assert not is_up(tmp_path)
    with try_lock(tmp_path / STACK_LOCK):
        assert is_up(tmp_path)
    assert not is_up(tmp_path)


def test_ctrl_c_while_it_waits_says_that_the_stack_goes_on_and_how_to_end_it(capsys):
    def bring_up(tell: Callable[[str], None]) -> RunRecord:
        tell("waiting for kafka")
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("nobody ended it")

    with show_progress() as progress, pytest.raises(KeyboardInterrupt):
        await_stack(progress, bring_up)
    assert capsys.readouterr().err == (
        "the stack goes on starting by itself: `soundlake status` shows how far it is, `soundlake down` (make down) ends it\n"
    )
