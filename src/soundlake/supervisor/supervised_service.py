"""One service and its process: readiness and liveness probes, restart with back-off, and the end of its whole process group."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from soundlake.errors import SoundlakeError, Unavailable
from soundlake.supervisor.processes import kill_group, spawn
from soundlake.supervisor.run_file import ProcessId, ServiceRecord, State
from soundlake.supervisor.service import RestartPolicy, Service
from soundlake.supervisor.service_logs import read_from, summarize_output


class SupervisedService:
    """A service and its process. The supervisor calls `update` at intervals; it does what is due and never blocks for long."""

    def __init__(self, service: Service, log: Path, environment: Mapping[str, str], policy: RestartPolicy, now: float) -> None:
        """Start the process. Raises Unavailable if its program does not exist."""
        self.service, self.log = service, log
        self._environment, self._policy = environment, policy
        self._is_ready = False
        self._probe_at, self._failed_probes = now, 0
        self._failures, self._restarts = 0, 0
        self._restart_at: float | None = None
        self._last_error: str | None = None
        self._spawn(now)

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended."""
        return self._process.poll() is not None

    @property
    def output(self) -> str:
        """The last error that it printed since its last start, or its last line; empty if it printed nothing."""
        return summarize_output(read_from(self.log, self._log_offset))

    def check_readiness(self) -> bool:
        """Whether it has been ready since its last start; probes if it has not."""
        self._is_ready = self._is_ready or (not self.has_ended and self.service.is_ready())
        return self._is_ready

    def update(self, now: float) -> list[str]:
        """Probe it, or restart it, if that is due; returns a log line for each event."""
        if self._restart_at is not None:
            return self._restart(now) if now >= self._restart_at else []
        if (code := self._process.poll()) is not None:
            return [self._handle_exit(code, now)]
        if self._is_ready and now < self._probe_at:
            return []
        self._probe_at = now + self._policy.probe_interval_seconds
        if self._is_ready:
            return self._probe_liveness()
        self.check_readiness()
        return []

    def terminate(self) -> None:
        """Send SIGTERM to the process alone; it ends its own children in order."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait_or_kill(self, seconds: float) -> None:
        """Wait for its end, then kill what is left of its process group."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        kill_group(self._process.pid)
        self._process.wait()

    def describe(self) -> ServiceRecord:
        """Its entry in the run file."""
        state = State.RUNNING if self._is_ready else State.STARTING
        if self._failed_probes >= self._policy.unresponsive_after_probes:
            state = State.SILENT
        if self._restart_at is not None:
            state = State.WAITING
        return ServiceRecord(
            name=self.service.name,
            state=state,
            process=None if state is State.WAITING else ProcessId.of(self._process.pid),
            since=self._started_at_utc,
            restarts=self._restarts,
            log=self.log,
            address=self.service.address,
            last_error=self._last_error,
        )

    def _probe_liveness(self) -> list[str]:
        name, was_silent = self.service.name, self._failed_probes >= self._policy.unresponsive_after_probes
        if self.service.is_ready():
            self._failed_probes = 0
            return [f"{name} answers again"] if was_silent else []
        self._failed_probes += 1
        if self._failed_probes >= self._policy.restart_after_probes:
            kill_group(self._process.pid)
            return [f"{name} has failed {self._failed_probes} probes in a row: killed, to be started again"]
        if self._failed_probes == self._policy.unresponsive_after_probes:
            return [f"{name} does not answer any more; see {self.log}"]
        return []

    def _handle_exit(self, code: int, now: float) -> str:
        kill_group(self._process.pid)  # children that it left would run beside those of the next start
        if now - self._started_at > self._policy.healthy_after_seconds:
            self._failures = 0
        self._last_error = f"ended with code {code}" + (f": {self.output}" if self.output else "")
        wait = self._schedule_restart(now, is_retryable=code not in self.service.non_retryable_exit_codes)
        return f"{self.service.name} ended with code {code}: {wait}"

    def _restart(self, now: float) -> list[str]:
        """Start it; a failure (a full disk, a missing program) is logged and tried again later, since the other services must go on."""
        try:
            self._spawn(now)
        except (SoundlakeError, OSError) as error:
            self._last_error = f"cannot be started: {error}"
            return [f"{self.service.name} cannot be started ({error}): {self._schedule_restart(now)}"]
        self._restart_at = None
        self._restarts += 1
        return []

    def _schedule_restart(self, now: float, *, is_retryable: bool = True) -> str:
        backoff = self._policy.backoff if is_retryable else self._policy.non_retryable_backoff
        wait = backoff.wait_seconds(self._failures)
        self._failures += 1
        self._restart_at, self._is_ready, self._failed_probes = now + wait, False, 0
        return f"starting it again in {wait:.0f} s; see {self.log}"

    def _spawn(self, now: float) -> None:
        self.service.prepare()
        program = self.service.command[0]
        if shutil.which(program) is None:
            raise Unavailable(f"{self.service.name}: cannot start {program}: no such program", next_step="run `make setup`")
        with self.log.open("ab") as log:
            self._log_offset = log.tell()
            self._process = spawn(self.service.command, {**self._environment, **self.service.environment}, log)
        self._started_at, self._started_at_utc = now, datetime.now(UTC)
