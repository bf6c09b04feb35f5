"""Services as processes of their own: started, watched, started again, stopped in order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from soundlake.errors import Unavailable
from soundlake.operations.keeping import KeptService, Patience, Service
from soundlake.operations.run_file import ProcessId, RunRecord, ServiceRecord, end_leftovers, write_run
from soundlake.operations.servers.process import read_tail
from soundlake.operations.service_logs import bound_logs

__all__ = ["Patience", "Service", "Supervisor"]

STOP_SECONDS = 20.0
LARGEST_LOG_BYTES = 20 * 1024 * 1024
_LOGS_SECONDS = 10.0
_POLL_SECONDS = 0.1


class Supervisor:
    """Keeps services alive until it is left; what each prints goes to `<home>/logs/<name>.log`, what runs stands in the run file.

    A service that ends is started again after 1, 2, 4 … 30 seconds, one that says it would be refused again after 1, 2, 4 … 10 minutes;
    one that ran half a minute begins anew. Each is asked whether it still answers. A log is no larger than 20 MiB, and the one before it
    is kept. Services end with this process, however it ends; where the system cannot see to that, the next supervisor of this home ends
    them.
    """

    def __init__(
        self, home: Path, environment: Mapping[str, str], *, patience: Patience | None = None, largest_log_bytes: int = LARGEST_LOG_BYTES
    ) -> None:
        self._home = home
        self._logs = home / "logs"
        self._environment = environment
        self._patience = patience or Patience()
        self._largest_log_bytes, self._bound_at = largest_log_bytes, 0.0
        self._groups: list[list[KeptService]] = []
        self._is_complete = False
        self._notes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        end_leftovers(self._home)
        self._write_down()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, services: Sequence[Service]) -> None:
        """Start each service; raises Unavailable if one cannot be started at all. What is started together ends together."""
        group: list[KeptService] = []
        self._groups.append(group)
        for service in services:
            log = self._logs / f"{service.name}.log"
            group.append(KeptService(service, log, self._environment, self._patience, time.monotonic()))
        self._write_down()

    def wait_until_ready(self, patience_seconds: float) -> None:
        """Return when all that was started is ready. Raises Unavailable, with the end of its log, if one ended or takes too long."""
        deadline = time.monotonic() + patience_seconds
        while waiting := [kept for kept in self._kept if not kept.look_for_readiness()]:
            ended = [kept for kept in waiting if kept.has_ended]
            if ended or time.monotonic() > deadline:
                late = (ended or waiting)[0]
                what = "ended at once" if ended else f"is not ready after {patience_seconds:.0f} s"
                raise Unavailable(f"{late.service.name} {what}: {read_tail(late.log)}", next_step=f"see {late.log}")
            time.sleep(_POLL_SECONDS)
        self._write_down()

    def declare_complete(self, notes: Iterable[str] = ()) -> None:
        """Write down that everything is there that was to be started, and what the user should know of it."""
        self._is_complete, self._notes = True, tuple(notes)
        self._write_down()

    def watch(self) -> list[str]:
        """Look once at each service and its log; do what is due. Returns a line for each thing that happened."""
        before = self._describe()
        told = [line for kept in self._kept for line in kept.look(time.monotonic())]
        if time.monotonic() >= self._bound_at:
            told += bound_logs(self._logs, self._largest_log_bytes)
            self._bound_at = time.monotonic() + _LOGS_SECONDS
        if self._describe() != before:
            try:
                self._write_down()
            except OSError as error:
                told.append(f"what runs cannot be written down: {error}")
        return told

    def stop(self) -> None:
        """Ask each to end, what was started last first, wait, and end by force what does not listen, and what it leaves behind."""
        self._is_complete = False
        with suppress(OSError):  # on a full disk too everything has to end
            self._write_down()
        while self._groups:
            group = self._groups.pop()
            for kept in reversed(group):
                kept.ask_to_end()
            deadline = time.monotonic() + STOP_SECONDS
            for kept in reversed(group):
                kept.end(max(0.1, deadline - time.monotonic()))
        self._write_down()

    @property
    def _kept(self) -> list[KeptService]:
        return [kept for group in self._groups for kept in group]

    def _describe(self) -> tuple[ServiceRecord, ...]:
        return tuple(kept.describe() for kept in self._kept)

    def _write_down(self) -> None:
        supervisor = ProcessId.of(os.getpid())
        assert supervisor is not None
        record = RunRecord(supervisor=supervisor, services=self._describe(), is_complete=self._is_complete, notes=self._notes)
        write_run(self._home, record)
