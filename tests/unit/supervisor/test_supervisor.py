"""The supervisor: starts, starts again, stops; and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from soundlake.errors import Unavailable
from soundlake.operations.stack.status import look
from soundlake.supervisor.run_file import ProcessId, RunRecord, ServiceRecord, State, read_run, write_run
from soundlake.supervisor.service import NON_RETRYABLE_EXIT_CODES, Backoff, RestartPolicy, Service
from soundlake.supervisor.service_logs import rotate_logs, summarize_output
from soundlake.supervisor.supervised_service import SupervisedService
from soundlake.supervisor.supervisor import Supervisor

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
    service, notes = make_service("short", "note('up'); sys.exit(1)")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        happened: list[str] = []
        assert wait_for(lambda: happened.extend(supervisor.watch()) or len(lines_of(notes)) >= 2)
    assert "short ended with code 1" in happened[0]
    assert "short.log" in happened[0]


def test_leaving_asks_each_service_to_end(tmp_path, make_service):
    code = "signal.signal(signal.SIGTERM, lambda *_: (note('asked'), sys.exit(0)))\nnote('up')\nwhile True: time.sleep(0.1)"
    service, notes = make_service("polite", code)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
    assert lines_of(notes) == ["up", "asked"]


def test_what_a_service_prints_stands_in_its_log(tmp_path, make_service):
    service, notes = make_service("talker", "print('hello from the service', flush=True); note('up'); time.sleep(60)")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
    assert "hello from the service" in (tmp_path / "logs" / "talker.log").read_text()


def test_a_program_that_is_not_there_is_named(tmp_path):
    with Supervisor(tmp_path, os.environ) as supervisor, pytest.raises(Unavailable, match="no-such-program"):
        supervisor.start([Service("ghost", ("no-such-program",))])


def test_services_end_with_a_supervisor_that_is_killed(tmp_path, make_service):
    service, notes = make_service("orphan", "note(os.getpid()); time.sleep(60)")
    code = (
        "import os, sys, time; from pathlib import Path; from soundlake.supervisor import Service, Supervisor\n"
        f"supervisor = Supervisor(Path({str(tmp_path)!r}), os.environ).__enter__()\n"
        f"supervisor.start([Service('orphan', {service.command!r})]); time.sleep(60)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    assert wait_for(lambda: lines_of(notes))
    process = psutil.Process(int(lines_of(notes)[0]))
    supervisor.kill()
    supervisor.wait()
    assert psutil.wait_procs([process], PATIENCE_SECONDS)[1] == []


def test_what_a_killed_supervisor_left_running_is_ended_by_the_next(tmp_path):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_run(tmp_path, record_of(tmp_path, supervisor=ProcessId(pid=left.pid, begun=0), service=ProcessId.of(left.pid)))
    with Supervisor(tmp_path, os.environ):
        assert ProcessId.of(left.pid) is None
    left.wait()


def test_a_process_that_only_has_the_number_of_one_that_was_ours_is_left_alone(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    other_start = ProcessId.of(stranger.pid).model_copy(update={"begun": 1.0})
    write_run(tmp_path, record_of(tmp_path, supervisor=other_start, service=other_start))
    with Supervisor(tmp_path, os.environ):
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_what_was_started_last_ends_first(tmp_path, make_service):
    code = "signal.signal(signal.SIGTERM, lambda *_: (note(time.monotonic()), sys.exit(0)))\nnote('up')\nwhile True: time.sleep(0.1)"
    (server, served), (client, asked) = make_service("server", code), make_service("client", code)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([server])
        supervisor.start([client])
        assert wait_for(lambda: lines_of(served) and lines_of(asked))
    assert float(lines_of(asked)[1]) < float(lines_of(served)[1])


def test_while_it_ends_it_does_not_count_as_complete(tmp_path, make_service):
    code = (
        "import pathlib\ndef end(*_): note(pathlib.Path(sys.argv[1]).read_text().count('\"is_complete\": true')); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nnote('up')\nwhile True: time.sleep(0.1)"
    )
    service, notes = make_service("last", code)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([replace(service, command=(*service.command, str(tmp_path / "run.json")))])
        supervisor.declare_complete()
        assert read_run(tmp_path).is_complete
        assert wait_for(lambda: lines_of(notes))
    assert lines_of(notes) == ["up", "0"]


def test_the_run_file_says_what_runs_and_what_waits(tmp_path, make_service):
    steady, _ = make_service("steady", "note('up'); time.sleep(60)")
    failing, _ = make_service("failing", "sys.exit(3)")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([steady, failing])
        assert wait_for(lambda: supervisor.watch() or read_run(tmp_path).services[1].state is State.WAITING)
        record = read_run(tmp_path)
    assert [(service.name, service.state) for service in record.services] == [("steady", State.RUNNING), ("failing", State.WAITING)]
    assert read_run(tmp_path).services == ()


def test_a_service_that_ends_before_it_is_ready_is_named_with_the_end_of_its_log(tmp_path, make_service):
    service, _ = make_service("stillborn", "print('no licence', flush=True); sys.exit(3)")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([replace(service, is_ready=lambda: False)])
        with pytest.raises(Unavailable, match="stillborn ended at once: no licence"):
            supervisor.wait_until_ready(PATIENCE_SECONDS)


def test_what_cannot_be_started_again_now_is_tried_later_and_the_others_go_on(tmp_path, make_service):
    steady, notes = make_service("steady", "note('up'); time.sleep(60)")
    failing, tries = make_service("failing", "note('up'); sys.exit(3)")

    def prepare() -> None:
        if lines_of(tries) and not (tmp_path / "room").exists():
            raise OSError(28, "No space left on device")

    told: list[str] = []
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([steady, replace(failing, prepare=prepare)])
        assert wait_for(lambda: told.extend(supervisor.watch()) or "No space left on device" in "".join(told))
        assert lines_of(notes) == ["up"]
        (tmp_path / "room").touch()
        assert wait_for(lambda: told.extend(supervisor.watch()) or len(lines_of(tries)) == 2)


@pytest.mark.parametrize(("code", "wait"), [(1, "1 s"), (2, "60 s"), (3, "60 s")], ids=["failed", "wrong use", "refused by the data"])
def test_one_that_would_be_refused_again_has_time_and_what_it_said_is_written_down(tmp_path, make_service, code, wait):
    said = "print('a line of its log', flush=True); print('error: no such bucket\\n→ name another', flush=True)"
    service, _ = make_service("refused", f"{said}; sys.exit({code})")
    told: list[str] = []
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([replace(service, non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES)])
        assert wait_for(lambda: told.extend(supervisor.watch()) or told)
        record = read_run(tmp_path).services[0]
    assert f"starting it again in {wait}" in told[0]
    assert (record.state, record.last_error) == (State.WAITING, f"ended with code {code}: no such bucket → name another")


def test_one_that_fails_for_days_is_still_tried_every_half_minute(tmp_path, make_service):
    service, _ = make_service("failing", "sys.exit(1)")
    gone = replace(service, prepare=lambda: (_ for _ in ()).throw(OSError("no room")))
    supervised = SupervisedService(service, tmp_path / "failing.log", os.environ, RestartPolicy(), 0.0)
    supervised.service = gone
    assert wait_for(lambda: supervised.has_ended)
    told = [line for hour in range(2_000) for line in supervised.update(hour * 3_600.0)]
    assert len(told) == 2_000
    assert "in 30 s" in told[-1]


def test_one_that_hangs_is_not_taken_for_well_until_it_answers_again(tmp_path, make_service):
    service, _ = make_service("hanging", "time.sleep(60)")
    (tmp_path / "answers").touch()
    told: list[str] = []
    with Supervisor(tmp_path, os.environ, policy=RestartPolicy(probe_interval_seconds=0.02)) as supervisor:
        supervisor.start([replace(service, is_ready=(tmp_path / "answers").exists)])
        supervisor.wait_until_ready(PATIENCE_SECONDS)
        (tmp_path / "answers").unlink()
        assert wait_for(lambda: told.extend(supervisor.watch()) or told)
        assert look(tmp_path, None, {}).services[0].state == "not answering"
        assert not look(tmp_path, None, {}).is_well
        (tmp_path / "answers").touch()
        assert wait_for(lambda: told.extend(supervisor.watch()) or len(told) > 1)
        assert read_run(tmp_path).services[0].state is State.RUNNING
    assert "hanging does not answer any more" in told[0]
    assert told[1] == "hanging answers again"


def test_one_that_has_hung_for_long_is_started_again(tmp_path, make_service):
    service, notes = make_service("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote('up'); time.sleep(60)")
    policy = RestartPolicy(probe_interval_seconds=0.02, restart_after_probes=6, backoff=Backoff(0.1, 30.0))
    told: list[str] = []
    with Supervisor(tmp_path, os.environ, policy=policy) as supervisor:
        supervisor.start([replace(service, is_ready=lambda: not (tmp_path / "hung").exists())])
        supervisor.wait_until_ready(PATIENCE_SECONDS)
        assert wait_for(lambda: lines_of(notes))
        (tmp_path / "hung").touch()
        assert wait_for(lambda: told.extend(supervisor.watch()) or "killed, to be started again" in "".join(told))
        (tmp_path / "hung").unlink()
        assert wait_for(lambda: told.extend(supervisor.watch()) or lines_of(notes) == ["up", "up"])
        deaf = read_run(tmp_path).services[0].process.find()
        deaf.kill()


CHILD = (
    "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', "
    "'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'])\nnote(child.pid)\n"
)


@pytest.mark.parametrize("end", ["time.sleep(60)", "sys.exit(1)"], ids=["when it is stopped", "when it ends by itself"])
def test_a_child_of_a_service_does_not_outlive_it(tmp_path, make_service, end):
    service, notes = make_service("parent", CHILD + end)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
        child = psutil.Process(int(lines_of(notes)[0]))
        if "exit" in end:
            assert wait_for(lambda: supervisor.watch() and not is_alive(child))
    assert wait_for(lambda: not is_alive(child))


def test_a_log_that_grows_while_its_writer_holds_it_open_stays_small_and_loses_nothing(tmp_path, make_service):
    lines, limit = 3_000, 60_000
    code = (
        f"note('up')\nfor number in range({lines}): print(f'{{number:099d}}', flush=True); time.sleep(0.0002)\nnote('done'); time.sleep(60)"
    )
    service, notes = make_service("talker", code)
    log, found = tmp_path / "logs" / "talker.log", set()

    def rotate() -> bool:
        assert list(rotate_logs(tmp_path / "logs", limit)) == []
        for path in (log.with_suffix(".log.1"), log):
            found.update(path.read_text().splitlines() if path.exists() else [])
        return len(lines_of(notes)) == 2

    with Supervisor(tmp_path, os.environ, largest_log_bytes=10**9) as supervisor:
        supervisor.start([service])
        assert wait_for(rotate)
    assert log.stat().st_size < 3 * limit
    assert log.with_suffix(".log.1").stat().st_size > limit
    assert len(found) > 0.99 * lines, "what is printed between the copy and the cut is lost, and nothing else"
    assert not log.with_suffix(".log.part").exists()


def test_a_running_supervisor_looks_after_its_logs(tmp_path, make_service):
    service, notes = make_service("talker", "print('x' * 5_000, flush=True); note('up'); time.sleep(60)")
    with Supervisor(tmp_path, os.environ, largest_log_bytes=4_000) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
        supervisor.watch()
        assert ((tmp_path / "logs" / "talker.log").stat().st_size, (tmp_path / "logs" / "talker.log.1").stat().st_size) == (0, 5_001)


def test_of_a_log_in_json_the_last_message_is_told():
    assert summarize_output('{"message": "starting"}\n{"level": "error", "message": "no such bucket\\n→ name another"}\n') == (
        "no such bucket → name another"
    )
    assert summarize_output("Traceback\nValueError: boom\n") == "ValueError: boom"
    assert summarize_output("\n") is None


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def record_of(home: Path, *, supervisor: ProcessId, service: ProcessId) -> RunRecord:
    now = datetime.now(UTC)
    left = ServiceRecord(name="left", state=State.RUNNING, process=service, since=now, restarts=0, log=home / "left.log")
    return RunRecord(supervisor=supervisor, services=(left,))
