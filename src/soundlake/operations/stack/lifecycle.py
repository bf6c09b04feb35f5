"""Bring the full stack up in order, keep it up, restart one of its services, bring it down."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from soundlake.errors import Unavailable, UsageError
from soundlake.local_files import try_lock
from soundlake.operations.servers.private_files import write_private
from soundlake.operations.stack.monitoring import write_targets
from soundlake.operations.stack.plan import PROGRAM, Stack, as_service
from soundlake.settings import HOME_SETTINGS
from soundlake.supervisor import RunRecord, State, Supervisor, read_run
from soundlake.supervisor.processes import end_processes
from soundlake.supervisor.run_file import end_leftovers
from soundlake.supervisor.service_logs import find_last_error, read_from

STACK_LOCK = "up.lock"
SUPERVISOR_LOG = "supervisor.log"
READY_SECONDS = 90.0
DOWN_SECONDS = 120.0
RESTART_SECONDS = 120.0
LAUNCH_SECONDS = 300.0
"""Longer than servers and services together may take to become ready."""
_WATCH_SECONDS = 1.0
_POLL_SECONDS = 0.2

Log = Callable[[str], None]


def keep_up(stack: Stack, prepare: Callable[[], Sequence[str]], log: Log) -> None:
    """Bring the stack up and keep it up until an exception ends it.

    `prepare` makes topics and tables once the servers are ready, and returns notes for the user.
    Raises UsageError if another process keeps this stack up, Unavailable if a port is taken or a server does not become ready.
    """
    stack.home.mkdir(parents=True, exist_ok=True)
    with try_lock(stack.home / STACK_LOCK) as is_free:
        if not is_free:
            raise UsageError(f"the stack in {stack.home} is up already", next_step="see `soundlake status`, or end it by `soundlake down`")
        for name in end_leftovers(stack.home):
            log(f"ended {name}, left running by a supervisor that was killed")
        stack.check_ports()
        with Supervisor(stack.home, stack.environment) as supervisor:
            supervisor.start([as_service(server) for server in stack.servers])
            supervisor.wait_until_ready(READY_SECONDS)
            for server in stack.servers:
                server.configure()
            write_private(stack.home / HOME_SETTINGS, "".join(f"{name}={value}\n" for name, value in stack.local_settings.items()))
            notes = prepare()
            write_targets(stack.home, stack.settings.metrics.host, stack.metrics_ports)
            supervisor.start(stack.services)
            supervisor.wait_until_ready(READY_SECONDS)
            supervisor.declare_complete(notes)
            for note in notes:
                log(note)
            log(f"{len(stack.servers) + len(stack.services)} services are up")
            while True:
                for line in supervisor.watch():
                    log(line)
                time.sleep(_WATCH_SECONDS)


def launch(
    home: Path, arguments: Sequence[str], environment: dict[str, str], report: Log, timeout_seconds: float = LAUNCH_SECONDS
) -> RunRecord:
    """Start a process that keeps the stack up, and return once all of it is; `report` is called with what it waits for.

    Raises Unavailable, with the error of that process, if the stack does not come up, or takes too long: its start then continues.
    """
    log = home / "logs" / SUPERVISOR_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*PROGRAM, "up", "--foreground", *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    record = _wait_until_complete(home, lambda: process.poll() is None, report, timeout_seconds)
    if record is not None:
        return record
    if is_up(home):  # another command was quicker
        return join(home, report, timeout_seconds)
    raise Unavailable(
        find_last_error(read_from(log, offset)) or "the supervisor printed nothing", next_step=f"the logs are in {log.parent}"
    )


def join(home: Path, report: Log, timeout_seconds: float = LAUNCH_SECONDS) -> RunRecord:
    """Return once a stack that another command brings up is complete. Raises Unavailable if it ends before, or takes too long."""
    record = _wait_until_complete(home, lambda: is_up(home), report, timeout_seconds)
    if record is None:
        log = home / "logs" / SUPERVISOR_LOG
        raise Unavailable(f"the stack in {home} ended before it was up", next_step=f"see {log}, then run it again")
    return record


def _wait_until_complete(home: Path, is_starting: Callable[[], bool], report: Log, timeout_seconds: float) -> RunRecord | None:
    """The run record once the stack is complete; None if the process that starts it ended before."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        is_alive, record = is_starting(), read_run(home)
        record = None if record is None or record.supervisor.find() is None else record
        if record is not None and record.is_complete:
            return record
        if not is_alive:
            return None
        missing = _name_missing(record)
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the stack in {home} is not up after {timeout_seconds:.0f} s, waiting for {missing}; its start continues",
                next_step=f"see `soundlake status` and {home / 'logs'}; `soundlake down` (make down) ends it",
            )
        report(f"waiting for {missing}")
        time.sleep(_POLL_SECONDS)


def _name_missing(record: RunRecord | None) -> str:
    if record is None:
        return "its supervisor"
    return ", ".join(service.name for service in record.services if service.state is not State.RUNNING) or "topics and tables"


def restart_service(home: Path, name: str) -> None:
    """End one service, which its supervisor then starts again, and return when it is running.

    Raises UsageError if no supervisor runs or it has no such service, Unavailable if the service does not come back.
    """
    record = read_run(home)
    if record is None or record.supervisor.find() is None:
        raise UsageError(f"the stack in {home} is not up", next_step="start it by `soundlake up`")
    names = [service.name for service in record.services]
    if name not in names:
        raise UsageError(f"{name} is not a service of the stack in {home}", next_step=f"name one of {', '.join(names)}")
    before = record.find_processes().get(name)
    if before is not None:
        end_processes([before])
    deadline = time.monotonic() + RESTART_SECONDS
    while True:
        found = next((service for service in (read_run(home) or record).services if service.name == name), None)
        if found and found.state is State.RUNNING and found.process and (before is None or found.process.pid != before.pid):
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"{name} is not running again after {RESTART_SECONDS:.0f} s", next_step=f"see {home / 'logs' / name}.log")
        time.sleep(_POLL_SECONDS)


def bring_down(home: Path) -> list[str]:
    """End the stack of this home, in order, and what a killed supervisor has left of it; returns the names of what was ended.

    Raises Unavailable if its supervisor does not end.
    """
    record = read_run(home)
    if record is None:
        return []
    supervisor = record.supervisor.find()
    if supervisor is None:
        return end_leftovers(home)
    supervisor.terminate()
    deadline = time.monotonic() + DOWN_SECONDS
    while record.supervisor.find() is not None:
        if time.monotonic() > deadline:
            raise Unavailable(f"the supervisor of {home} (process {supervisor.pid}) does not end", next_step=f"see {home / 'logs'}")
        time.sleep(_POLL_SECONDS)
    end_leftovers(home)
    return [service.name for service in record.services]


def is_up(home: Path) -> bool:
    """Whether a supervisor keeps this home's services up, or is about to."""
    record = read_run(home)
    return (record is not None and record.supervisor.find() is not None) or _is_held(home / STACK_LOCK)


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    with try_lock(lock) as is_free:
        return not is_free
