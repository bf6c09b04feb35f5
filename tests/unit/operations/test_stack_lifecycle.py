"""`up` beside another `up` waits for the whole stack; `restart` restarts one service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from soundlake.cli.terminal import show_progress
from soundlake.cli.up import await_stack
from soundlake.errors import Unavailable, UsageError
from soundlake.local_files import try_lock
from soundlake.operations.servers import find_free_block
from soundlake.operations.stack import is_up, join, keep_up, plan_stack, restart_service
from soundlake.operations.stack.lifecycle import STACK_LOCK
from soundlake.settings import Settings
from soundlake.supervisor import Backoff, ProcessId, RestartPolicy, RunRecord, Service, ServiceRecord, State, Supervisor, read_run
from soundlake.supervisor.run_file import write_run

Write = Callable[..., None]


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """A process in the place of a stack's supervisor."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def write(tmp_path, supervisor) -> Write:
    def write(kafka: State, *, is_complete: bool) -> None:
        own = ProcessId.of(supervisor.pid)
        service = ServiceRecord(name="kafka", state=kafka, process=own, since=datetime.now(UTC), restarts=0, log=tmp_path / "kafka.log")
        (tmp_path / "stack").mkdir(exist_ok=True)
        write_run(tmp_path / "stack", RunRecord(supervisor=own, services=(service,), is_complete=is_complete))

    return write


def test_it_waits_until_a_starting_stack_is_complete(tmp_path, write):
    write(State.STARTING, is_complete=False)
    reports: list[str] = []

    def report(line: str) -> None:
        reports.append(line)
        write(State.RUNNING, is_complete=len(reports) > 2)

    assert join(tmp_path / "stack", report, 10).is_complete
    assert reports == ["waiting for kafka", "waiting for topics and tables", "waiting for topics and tables"]


def test_a_stack_that_ends_before_it_is_up_is_an_error(tmp_path, write, supervisor):
    write(State.STARTING, is_complete=False)
    threading.Timer(0.5, supervisor.kill).start()
    with pytest.raises(Unavailable, match=r"ended before it was up\n→ see .*supervisor\.log"):
        join(tmp_path / "stack", lambda _: None, 20)


def test_the_timeout_names_what_is_missing_and_how_to_end_the_stack(tmp_path, write):
    write(State.STARTING, is_complete=False)
    with pytest.raises(Unavailable, match=r"not up after 1 s, waiting for kafka; its start continues\n→ .*make down"):
        join(tmp_path / "stack", lambda _: None, 1)


def test_a_stack_is_up_as_soon_as_its_lock_is_held(tmp_path):
    assert not is_up(tmp_path)
    with try_lock(tmp_path / STACK_LOCK):
        assert is_up(tmp_path)
    assert not is_up(tmp_path)


def test_ctrl_c_during_the_wait_reports_that_the_start_continues(capsys):
    def bring_up(report: Callable[[str], None]) -> RunRecord:
        report("waiting for kafka")
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("SIGINT did not arrive")

    with show_progress() as progress, pytest.raises(KeyboardInterrupt):
        await_stack(progress, bring_up)
    assert capsys.readouterr().err == (
        "the start of the stack continues: `soundlake status` shows its progress, `soundlake down` (make down) ends it\n"
    )


def test_a_taken_port_ends_the_start_before_any_server(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"redis_port": taken.getsockname()[1], "kafka_port": find_free_block(), "object_store_port": find_free_block()}
        stack = plan_stack(Settings(_env_file=None, home=tmp_path, broker="", lake="", cache="", servers=ports), ())
        with pytest.raises(Unavailable, match="redis: port"):
            keep_up(stack, tuple, print)
    assert read_run(stack.home) is None


def test_one_service_is_restarted_and_the_others_keep_running(tmp_path):
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    with Supervisor(tmp_path, os.environ, policy=RestartPolicy(backoff=Backoff(0.05, 1.0))) as supervisor, ThreadPoolExecutor(1) as pool:
        supervisor.start([Service("kafka", command), Service("sink", command)])
        supervisor.wait_until_ready(15)
        before = read_run(tmp_path).services
        restart = pool.submit(restart_service, tmp_path, "sink")
        while not restart.done():
            supervisor.watch()
            time.sleep(0.02)
        restart.result()
        after = read_run(tmp_path).services
    assert before[0] == after[0]
    assert (after[1].state, after[1].restarts) == (State.RUNNING, 1)
    assert before[1].process != after[1].process


def test_only_a_service_of_a_running_stack_can_be_restarted(tmp_path, write):
    with pytest.raises(UsageError, match=r"is not up\n→ start it by `soundlake up`"):
        restart_service(tmp_path / "stack", "kafka")
    write(State.RUNNING, is_complete=True)
    with pytest.raises(UsageError, match=r"snik is not a service of the stack in .*\n→ name one of kafka"):
        restart_service(tmp_path / "stack", "snik")
