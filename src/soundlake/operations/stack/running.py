"""The full stack as it runs: brought up in order, kept alive, brought down; by a process of its own that nobody has to wait for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from soundlake.errors import Unavailable, UsageError
from soundlake.operations.locks import try_lock
from soundlake.operations.run_file import RunRecord, State, end_leftovers, end_processes, find_processes, read_run, wait_until_gone
from soundlake.operations.servers.keys import write_private
from soundlake.operations.servers.process import READY_SECONDS, read_tail
from soundlake.operations.service_logs import find_last_error, read_from
from soundlake.operations.services import Supervisor
from soundlake.operations.stack.monitoring import write_targets
from soundlake.operations.stack.plan import PROGRAM, Stack, as_service
from soundlake.settings import HOME_SETTINGS

STACK_LOCK = "up.lock"
SUPERVISOR_LOG = "supervisor.log"
DOWN_SECONDS = 120.0
LAUNCH_SECONDS = 300.0
"""Longer than servers and services may take together to become ready."""
_WATCH_SECONDS = 1.0
_POLL_SECONDS = 0.2

Tell = Callable[[str], None]


def keep_up(stack: Stack, prepare: Callable[[], Sequence[str]], tell: Tell) -> None:
    """Bring the stack up and keep it up until an exception ends it.

    `prepare` makes topics and tables once the servers answer, and says what the user should know of them.
    Raises UsageError if another process keeps this stack up, Unavailable if a port is taken or a server does not come up.
    """
    stack.home.mkdir(parents=True, exist_ok=True)
    with try_lock(stack.home / STACK_LOCK) as is_free:
        if not is_free:
            raise UsageError(f"the stack in {stack.home} is up already", next_step="see `soundlake status`, or end it by `soundlake down`")
        for name in end_leftovers(stack.home):
            tell(f"ended {name}, which a supervisor that was killed had left running")
        stack.check_ports()
        with Supervisor(stack.home, stack.environment) as supervisor:
            supervisor.start([as_service(server) for server in stack.servers])
            supervisor.wait_until_ready(READY_SECONDS)
            for server in stack.servers:
                server.settle()
            write_private(stack.home / HOME_SETTINGS, "".join(f"{name}={value}\n" for name, value in stack.local_settings.items()))
            notes = prepare()
            write_targets(stack.home, stack.settings.metrics_host, stack.metrics_ports)
            supervisor.start(stack.services)
            supervisor.wait_until_ready(READY_SECONDS)
            supervisor.declare_complete(notes)
            for note in notes:
                tell(note)
            tell(f"{len(stack.servers) + len(stack.services)} services are up")
            while True:
                for line in supervisor.watch():
                    tell(line)
                time.sleep(_WATCH_SECONDS)


def launch(
    home: Path, arguments: Sequence[str], environment: dict[str, str], tell: Tell, patience_seconds: float = LAUNCH_SECONDS
) -> RunRecord:
    """Have a process of its own keep the stack up, and return once all of it is; `tell` hears what it waits for, again and again.

    Raises Unavailable, with what it said, if it does not come up, or takes too long: then it goes on by itself.
    """
    log = home / "logs" / SUPERVISOR_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*PROGRAM, "up", "--foreground", *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    record = _wait_until_complete(home, lambda: process.poll() is None, tell, patience_seconds)
    if record is not None:
        return record
    if is_up(home):  # another command was quicker
        return join(home, tell, patience_seconds)
    raise Unavailable(find_last_error(read_from(log, begun)) or read_tail(log), next_step=f"the logs are in {log.parent}")


def join(home: Path, tell: Tell, patience_seconds: float = LAUNCH_SECONDS) -> RunRecord:
    """Return once all of a stack is up that another command brings up. Raises Unavailable if it ends before, or takes too long."""
    record = _wait_until_complete(home, lambda: is_up(home), tell, patience_seconds)
    if record is None:
        log = home / "logs" / SUPERVISOR_LOG
        raise Unavailable(f"the stack in {home} has ended instead of coming up", next_step=f"see {log}, then run it again")
    return record


def _wait_until_complete(home: Path, goes_on: Callable[[], bool], tell: Tell, patience_seconds: float) -> RunRecord | None:
    """What runs, once it is all there; None if that which brings it up ended before."""
    deadline = time.monotonic() + patience_seconds
    while True:
        is_alive, record = goes_on(), read_run(home)
        record = None if record is None or record.supervisor.find() is None else record
        if record is not None and record.is_complete:
            return record
        if not is_alive:
            return None
        missing = _name_missing(record)
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the stack in {home} is not up after {patience_seconds:.0f} s, waiting for {missing}; it goes on by itself",
                next_step=f"see `soundlake status` and {home / 'logs'}; `soundlake down` (make down) ends it",
            )
        tell(f"waiting for {missing}")
        time.sleep(_POLL_SECONDS)


def _name_missing(record: RunRecord | None) -> str:
    if record is None:
        return "its supervisor"
    return ", ".join(service.name for service in record.services if service.state is not State.RUNNING) or "topics and tables"


def bring_down(home: Path) -> list[str]:
    """End the stack of this home, in order, and what a killed supervisor has left of it; the names of what was ended.

    Raises Unavailable if its supervisor does not end.
    """
    record = read_run(home)
    if record is None:
        return []
    supervisor = record.supervisor.find()
    if supervisor is None:
        return end_leftovers(home)
    supervisor.terminate()
    if not wait_until_gone(record.supervisor, DOWN_SECONDS):
        raise Unavailable(f"the supervisor of {home} (process {supervisor.pid}) does not end", next_step=f"see {home / 'logs'}")
    end_processes(find_processes(record))
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
