"""The full stack as it runs: brought up in order, kept alive, brought down; by a process of its own that nobody has to wait for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from soundlake.errors import Unavailable, UsageError
from soundlake.operations.locks import try_lock
from soundlake.operations.run_file import RunRecord, end_leftovers, end_processes, find_processes, read_run, wait_until_gone
from soundlake.operations.servers.keys import write_private
from soundlake.operations.servers.process import READY_SECONDS, read_tail
from soundlake.operations.service_logs import find_last_error
from soundlake.operations.services import Supervisor
from soundlake.operations.stack.monitoring import write_targets
from soundlake.operations.stack.plan import PROGRAM, Stack, as_service
from soundlake.settings import HOME_SETTINGS

STACK_LOCK = "up.lock"
SUPERVISOR_LOG = "supervisor.log"
DOWN_SECONDS = 120.0
_WATCH_SECONDS = 1.0
_POLL_SECONDS = 0.2

Tell = Callable[[str], None]


def keep_up(stack: Stack, prepare: Callable[[], None], tell: Tell) -> None:
    """Bring the stack up and keep it up until an exception ends it; `prepare` makes topics and tables once the servers answer.

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
            prepare()
            write_targets(stack.home, stack.metrics_ports)
            supervisor.start(stack.services)
            supervisor.wait_until_ready(READY_SECONDS)
            supervisor.declare_complete()
            tell(f"{len(stack.servers) + len(stack.services)} services are up")
            while True:
                for line in supervisor.watch():
                    tell(line)
                time.sleep(_WATCH_SECONDS)


def launch(home: Path, arguments: Sequence[str], environment: dict[str, str]) -> RunRecord:
    """Have a process of its own keep the stack up, and return once it is. Raises Unavailable, with what it said, if it does not come up."""
    log = home / "logs" / SUPERVISOR_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*PROGRAM, "up", "--foreground", *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    while process.poll() is None:
        record = read_run(home)
        if record is not None and record.supervisor.pid == process.pid and record.is_complete:
            return record
        time.sleep(_POLL_SECONDS)
    with log.open(encoding="utf-8", errors="replace") as output:
        output.seek(begun)
        said = find_last_error(output.read())
    raise Unavailable(said or read_tail(log), next_step=f"the logs are in {log.parent}")


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
    """Whether a supervisor keeps this home's services up."""
    record = read_run(home)
    return record is not None and record.supervisor.find() is not None
