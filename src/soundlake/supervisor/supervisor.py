"""Keep services running as processes of their own: start them in groups, watch them, stop the groups in reverse order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from soundlake.errors import Unavailable
from soundlake.supervisor.run_file import ProcessId, RunRecord, end_leftovers, write_run
from soundlake.supervisor.service import RestartPolicy, Service
from soundlake.supervisor.service_logs import rotate_logs
from soundlake.supervisor.supervised_service import SupervisedService

STOP_SECONDS = 20.0
_LARGEST_LOG_BYTES = 20 * 1024 * 1024
_ROTATION_SECONDS = 10.0
_POLL_SECONDS = 0.1


class Supervisor:
    """Keeps services running for the length of a `with` block. Output goes to `<home>/logs/<name>.log`, the state to the run file.

    The policy says when a service that ends, or stops answering, is restarted. A log larger than 20 MiB is rotated; one old log is kept.
    Services end with this process, however it ends (Linux); elsewhere the next supervisor of this home ends them.
    """

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        *,
        policy: RestartPolicy | None = None,
        largest_log_bytes: int = _LARGEST_LOG_BYTES,
    ) -> None:
        self._home, self._logs = home, home / "logs"
        self._environment, self._policy = environment, policy or RestartPolicy()
        self._largest_log_bytes, self._rotate_at = largest_log_bytes, 0.0
        self._groups: list[list[SupervisedService]] = []
        self._is_complete = False
        self._notes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        end_leftovers(self._home)
        self._write_run_file()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, services: Sequence[Service]) -> None:
        """Start services as one group, which is also stopped as one. Raises Unavailable if a program does not exist."""
        group: list[SupervisedService] = []
        self._groups.append(group)
        for service in services:
            log = self._logs / f"{service.name}.log"
            group.append(SupervisedService(service, log, self._environment, self._policy, time.monotonic()))
        self._write_run_file()

    def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return when all services are ready. Raises Unavailable, with the end of its log, if one ended or takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while waiting := [one for one in self._services if not one.check_readiness()]:
            ended = [one for one in waiting if one.has_ended]
            if ended or time.monotonic() > deadline:
                late = (ended or waiting)[0]
                problem = "ended at once" if ended else f"is not ready after {timeout_seconds:.0f} s"
                raise Unavailable(f"{late.service.name} {problem}: {late.output or 'it printed nothing'}", next_step=f"see {late.log}")
            time.sleep(_POLL_SECONDS)
        self._write_run_file()

    def declare_complete(self, notes: Iterable[str] = ()) -> None:
        """Record that the start is complete, with notes for the user."""
        self._is_complete, self._notes = True, tuple(notes)
        self._write_run_file()

    def watch(self) -> list[str]:
        """Probe and restart services and rotate logs where that is due; returns a log line for each event."""
        before = self._describe()
        events = [line for one in self._services for line in one.update(time.monotonic())]
        if time.monotonic() >= self._rotate_at:
            events += rotate_logs(self._logs, self._largest_log_bytes)
            self._rotate_at = time.monotonic() + _ROTATION_SECONDS
        if self._describe() != before:
            try:
                self._write_run_file()
            except OSError as error:
                events.append(f"the run file cannot be written: {error}")
        return events

    def stop(self) -> None:
        """Stop the groups in reverse order: SIGTERM to each service, last one first, then SIGKILL to what is left of its process group."""
        self._is_complete = False
        with suppress(OSError):  # on a full disk too, every service must end
            self._write_run_file()
        while self._groups:
            group = self._groups.pop()
            for one in reversed(group):
                one.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for one in reversed(group):
                one.wait_or_kill(max(0.1, deadline - time.monotonic()))
        self._write_run_file()

    @property
    def _services(self) -> list[SupervisedService]:
        return [one for group in self._groups for one in group]

    def _describe(self) -> RunRecord:
        supervisor = ProcessId.of(os.getpid())
        assert supervisor is not None
        services = tuple(one.describe() for one in self._services)
        return RunRecord(supervisor=supervisor, services=services, is_complete=self._is_complete, notes=self._notes)

    def _write_run_file(self) -> None:
        write_run(self._home, self._describe())
