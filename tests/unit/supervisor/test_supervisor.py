"""The supervisor starts, probes, restarts and stops services, and leaves no process behind."""

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
from soundlake.operations.stack.status import build_status
from soundlake.supervisor import run_file
from soundlake.supervisor.processes import end_processes
from soundlake.supervisor.run_file import ProcessId, RunRecord, ServiceRecord, State, end_leftovers, read_run, write_run
from soundlake.supervisor.service import NON_RETRYABLE_EXIT_CODES, Backoff, RestartPolicy, Service
from soundlake.supervisor.service_logs import find_last_error, read_from, rotate_logs, summarize_output
from soundlake.supervisor.supervised_service import SupervisedService
from soundlake.supervisor.supervisor import Supervisor

TIMEOUT_SECONDS = 15


@pytest.fixture
def make_service(tmp_path):
    """A service that runs Python code, in which `note(text)` appends a line to the returned file."""

    def make(name: str, code: str) -> tuple[Service, Path]:
        notes = tmp_path / f"{name}.notes"
        prelude = f"import os, signal, sys, time\ndef note(t): print(t, file=open({str(notes)!r}, 'a'), flush=True)\n"
        return Service(name, (sys.executable, "-c", prelude + code)), notes

    return make


def wait_for(condition) -> bool:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def lines_of(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def test_a_service_that_ends_is_restarted(tmp_path, make_service):
    service, notes = make_service("short", "note('up'); sys.exit(1)")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        happened: list[str] = []
        assert wait_for(lambda: happened.extend(supervisor.watch()) or len(lines_of(notes)) >= 2)
    assert "short ended with code 1" in happened[0]
    assert "short.log" in happened[0]


def test_stopping_sends_sigterm_to_each_service(tmp_path, make_service):
    code = "signal.signal(signal.SIGTERM, lambda *_: (note('SIGTERM'), sys.exit(0)))\nnote('up')\nwhile True: time.sleep(0.1)"
    service, notes = make_service("polite", code)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
    assert lines_of(notes) == ["up", "SIGTERM"]


def test_the_output_of_a_service_goes_to_its_log(tmp_path, make_service):
    service, notes = make_service("talker", "print('hello from the service', flush=True); note('up'); time.sleep(60)")
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
    assert "hello from the service" in (tmp_path / "logs" / "talker.log").read_text()


def test_a_missing_program_is_named(tmp_path):
    with Supervisor(tmp_path, os.environ) as supervisor, pytest.raises(Unavailable, match="no-such-program"):
        supervisor.start([Service("ghost", ("no-such-program",))])


def test_services_end_when_their_supervisor_is_killed(tmp_path, make_service):
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
    assert psutil.wait_procs([process], TIMEOUT_SECONDS)[1] == []


def test_services_left_by_a_killed_supervisor_are_ended_by_the_next(tmp_path):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_run(tmp_path, record_of(tmp_path, supervisor=ProcessId(pid=left.pid, begun=0), service=ProcessId.of(left.pid)))
    with Supervisor(tmp_path, os.environ):
        assert ProcessId.of(left.pid) is None
    left.wait()


def test_a_process_that_reuses_the_number_of_a_service_is_not_ended(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    reused = ProcessId.of(other.pid).model_copy(update={"begun": 1.0})
    write_run(tmp_path, record_of(tmp_path, supervisor=reused, service=reused))
    with Supervisor(tmp_path, os.environ):
        assert other.poll() is None
    other.kill()
    other.wait()


def test_services_of_a_running_supervisor_are_not_leftovers(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as service:
        write_run(tmp_path, record_of(tmp_path, supervisor=ProcessId.of(os.getpid()), service=ProcessId.of(service.pid)))
        assert end_leftovers(tmp_path) == []
        assert service.poll() is None
        service.kill()


def test_a_zombie_does_not_count_as_running():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        own = ProcessId.of(process.pid)
        assert own.find() is not None
        process.kill()
        assert wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert own.find() is None


def test_a_command_does_not_start_once_its_parent_has_ended(tmp_path):
    script = Path(run_file.__file__).with_name("exit_with_parent.py")
    ended_parent = str(os.getppid())
    done = subprocess.run([sys.executable, script, ended_parent, "touch", str(tmp_path / "started")], check=False)
    assert (done.returncode, (tmp_path / "started").exists()) == (1, False)


def test_a_run_file_that_cannot_be_written_is_reported_and_services_still_end(tmp_path, make_service):
    failing, _ = make_service("failing", "sys.exit(1)")
    steady, notes = make_service("steady", "note(os.getpid()); time.sleep(60)")
    supervisor = Supervisor(tmp_path, os.environ).__enter__()
    supervisor.start([failing, steady])
    assert wait_for(lambda: lines_of(notes))
    (tmp_path / ".run.json.part").mkdir()  # in the place of the draft
    events: list[str] = []
    assert wait_for(lambda: events.extend(supervisor.watch()) or "the run file cannot be written" in "".join(events))
    with pytest.raises(IsADirectoryError):
        supervisor.stop()
    assert not psutil.pid_exists(int(lines_of(notes)[0]))


def test_groups_end_in_reverse_order(tmp_path, make_service):
    code = "signal.signal(signal.SIGTERM, lambda *_: (note(time.monotonic()), sys.exit(0)))\nnote('up')\nwhile True: time.sleep(0.1)"
    (server, served), (client, asked) = make_service("server", code), make_service("client", code)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([server])
        supervisor.start([client])
        assert wait_for(lambda: lines_of(served) and lines_of(asked))
    assert float(lines_of(asked)[1]) < float(lines_of(served)[1])


def test_a_stack_that_is_stopping_is_not_complete(tmp_path, make_service):
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


def test_the_run_file_records_running_and_waiting_services(tmp_path, make_service):
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
            supervisor.wait_until_ready(TIMEOUT_SECONDS)


def test_a_failed_restart_is_retried_and_other_services_keep_running(tmp_path, make_service):
    steady, notes = make_service("steady", "note('up'); time.sleep(60)")
    failing, tries = make_service("failing", "note('up'); sys.exit(3)")

    def prepare() -> None:
        if lines_of(tries) and not (tmp_path / "room").exists():
            raise OSError(28, "No space left on device")

    events: list[str] = []
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([steady, replace(failing, prepare=prepare)])
        assert wait_for(lambda: events.extend(supervisor.watch()) or "No space left on device" in "".join(events))
        assert lines_of(notes) == ["up"]
        (tmp_path / "room").touch()
        assert wait_for(lambda: events.extend(supervisor.watch()) or len(lines_of(tries)) == 2)


@pytest.mark.parametrize(("code", "wait"), [(1, "1 s"), (2, "60 s"), (3, "60 s")], ids=["failed", "wrong use", "bad data"])
def test_a_non_retryable_exit_waits_longer_and_its_error_is_recorded(tmp_path, make_service, code, wait):
    output = "print('a line of its log', flush=True); print('error: no such bucket\\n→ name another', flush=True)"
    service, _ = make_service("refused", f"{output}; sys.exit({code})")
    events: list[str] = []
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([replace(service, non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES)])
        assert wait_for(lambda: events.extend(supervisor.watch()) or events)
        record = read_run(tmp_path).services[0]
    assert f"starting it again in {wait}" in events[0]
    assert (record.state, record.last_error) == (State.WAITING, f"ended with code {code}: no such bucket → name another")


def test_a_service_that_fails_for_days_is_still_restarted_every_30_seconds(tmp_path, make_service):
    service, _ = make_service("failing", "sys.exit(1)")
    gone = replace(service, prepare=lambda: (_ for _ in ()).throw(OSError("no room")))
    supervised = SupervisedService(service, tmp_path / "failing.log", os.environ, RestartPolicy(), 0.0)
    supervised.service = gone
    assert wait_for(lambda: supervised.has_ended)
    events = [line for hour in range(2_000) for line in supervised.update(hour * 3_600.0)]
    assert len(events) == 2_000
    assert "in 30 s" in events[-1]


def test_the_wait_starts_again_at_one_second_after_a_run_of_half_a_minute(tmp_path, make_service):
    service, _ = make_service("failing", "sys.exit(1)")
    supervised = SupervisedService(service, tmp_path / "failing.log", os.environ, RestartPolicy(), 0.0)
    waits = []
    for started, ended in ((None, 1.0), (10.0, 11.0), (20.0, 21.0), (100.0, 131.0)):
        if started is not None:
            assert supervised.update(started) == []
        assert wait_for(lambda: supervised.has_ended)
        waits += supervised.update(ended)
    assert [line.split(" in ")[1].split(";")[0] for line in waits] == ["1 s", "2 s", "4 s", "1 s"]


def test_a_hung_service_is_not_running_until_it_answers_again(tmp_path, make_service):
    service, _ = make_service("hanging", "time.sleep(60)")
    (tmp_path / "answers").touch()
    events: list[str] = []
    with Supervisor(tmp_path, os.environ, policy=RestartPolicy(probe_interval_seconds=0.02)) as supervisor:
        supervisor.start([replace(service, is_ready=(tmp_path / "answers").exists)])
        supervisor.wait_until_ready(TIMEOUT_SECONDS)
        (tmp_path / "answers").unlink()
        assert wait_for(lambda: events.extend(supervisor.watch()) or events)
        assert build_status(tmp_path, read_run(tmp_path)).services[0].state == "not answering"
        assert not build_status(tmp_path, read_run(tmp_path)).is_well
        (tmp_path / "answers").touch()
        assert wait_for(lambda: events.extend(supervisor.watch()) or len(events) > 1)
        assert read_run(tmp_path).services[0].state is State.RUNNING
    assert "hanging does not answer any more" in events[0]
    assert events[1] == "hanging answers again"


def test_a_service_that_hangs_for_long_is_killed_and_restarted(tmp_path, make_service):
    service, notes = make_service("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote('up'); time.sleep(60)")
    policy = RestartPolicy(probe_interval_seconds=0.02, restart_after_probes=6, backoff=Backoff(0.1, 30.0))
    events: list[str] = []
    with Supervisor(tmp_path, os.environ, policy=policy) as supervisor:
        supervisor.start([replace(service, is_ready=lambda: not (tmp_path / "hung").exists())])
        supervisor.wait_until_ready(TIMEOUT_SECONDS)
        assert wait_for(lambda: lines_of(notes))
        (tmp_path / "hung").touch()
        assert wait_for(lambda: events.extend(supervisor.watch()) or "killed, to be started again" in "".join(events))
        assert wait_for(lambda: events.extend(supervisor.watch()) or lines_of(notes) == ["up", "up"])
        assert read_run(tmp_path).services[0].state is State.STARTING
        (tmp_path / "hung").unlink()
        assert wait_for(lambda: events.extend(supervisor.watch()) or read_run(tmp_path).services[0].state is State.RUNNING)
        deaf = read_run(tmp_path).services[0].process.find()
        deaf.kill()


CHILD = (
    "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', "
    "'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'])\nnote(child.pid)\n"
)


@pytest.mark.parametrize("end", ["time.sleep(60)", "sys.exit(1)"], ids=["when it is stopped", "when it exits"])
def test_children_of_a_service_end_with_it(tmp_path, make_service, end):
    service, notes = make_service("parent", CHILD + end)
    with Supervisor(tmp_path, os.environ) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
        child = psutil.Process(int(lines_of(notes)[0]))
        if "exit" in end:
            assert wait_for(lambda: supervisor.watch() and not is_alive(child))
    assert wait_for(lambda: not is_alive(child))


def test_ending_a_service_from_outside_ends_its_children(make_service):
    service, notes = make_service("parent", CHILD + "time.sleep(60)")
    with subprocess.Popen(service.command, start_new_session=True) as parent:
        assert wait_for(lambda: lines_of(notes))
        child = psutil.Process(int(lines_of(notes)[0]))
        end_processes([psutil.Process(parent.pid)])
        assert wait_for(lambda: not is_alive(child))


def test_a_log_is_rotated_while_its_writer_holds_it_open(tmp_path, make_service):
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
    assert len(found) > 0.99 * lines, "only lines between the copy and the truncation may be lost"
    assert list(log.parent.glob("*.part")) == []


def test_a_log_that_cannot_be_copied_keeps_its_content(tmp_path):
    """A limit on the size of files has the effect of a full disk: write(2) fails."""
    (tmp_path / "talker.log").write_text("x" * 100_000)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); from pathlib import Path\n"
        "from soundlake.supervisor.service_logs import rotate_logs; print(*rotate_logs(Path(), 10_000))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("talker.log cannot be rotated: [Errno 27] File too large")
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"talker.log": 100_000}


def test_a_running_supervisor_rotates_logs(tmp_path, make_service):
    service, notes = make_service("talker", "print('x' * 5_000, flush=True); note('up'); time.sleep(60)")
    with Supervisor(tmp_path, os.environ, largest_log_bytes=4_000) as supervisor:
        supervisor.start([service])
        assert wait_for(lambda: lines_of(notes))
        supervisor.watch()
        assert ((tmp_path / "logs" / "talker.log").stat().st_size, (tmp_path / "logs" / "talker.log.1").stat().st_size) == (0, 5_001)


def test_the_summary_of_output_is_the_last_error_or_the_last_message():
    assert summarize_output('{"message": "starting"}\n{"level": "error", "message": "no such bucket\\n→ name another"}\n') == (
        "no such bucket → name another"
    )
    assert summarize_output("Traceback\nValueError: boom\n") == "ValueError: boom"
    assert summarize_output("error: no such bucket\n→ name another\n") == "no such bucket → name another"
    assert summarize_output("\n") == ""


def test_the_output_since_the_last_start_is_read_also_from_a_rotated_log(tmp_path):
    log = tmp_path / "sink.log"
    log.write_text("before\nafter\n")
    assert read_from(log, len("before\n")) == "after\n"
    log.write_text("new\n")
    assert read_from(log, len("before\n")) == "new\n"
    assert read_from(tmp_path / "none.log", 0) == ""


def test_the_last_error_is_found_after_log_lines():
    logged = "2026-11-26T12:29:40Z ERROR soundlake.kafka: FAIL"
    error = "authentication as ana failed\n→ correct the password"
    assert find_last_error(f"{logged}\nerror: {error}\n") == error
    assert find_last_error(f"{logged}\n") == logged
    assert find_last_error("") == ""


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def record_of(home: Path, *, supervisor: ProcessId, service: ProcessId) -> RunRecord:
    now = datetime.now(UTC)
    left = ServiceRecord(name="left", state=State.RUNNING, process=service, since=now, restarts=0, log=home / "left.log")
    return RunRecord(supervisor=supervisor, services=(left,))
