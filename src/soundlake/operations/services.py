"""Services as processes of their own: started, watched, started again with back-off, stopped in order."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from soundlake.errors import Unavailable

LONGEST_BACKOFF_SECONDS = 30.0
STOP_SECONDS = 20.0
HEALTHY_AFTER_SECONDS = 30.0


@dataclass(frozen=True)
class Service:
    """One program that shall run: its name, its command and, where it has one, the address a user opens."""

    name: str
    command: tuple[str, ...]
    address: str | None = None


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    started_at: float
    failures: int = 0
    restart_at: float | None = None


class Supervisor:
    """Keeps services alive until it is left; what each prints goes to `logs/<name>.log`.

    A service that ends is started again after 1, 2, 4 … 30 seconds; one that ran half a minute begins at 1 anew.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = environment
        self._running: list[_Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, services: Sequence[Service]) -> None:
        """Start each service; raises Unavailable if one cannot be started at all."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for service in services:
            log = (self._logs / f"{service.name}.log").open("ab")
            try:
                process = self._spawn(service, log)
            except Unavailable:
                log.close()
                raise
            self._running.append(_Running(service, process, log, time.monotonic()))

    def watch(self) -> list[str]:
        """Look once at each service; start again what ended. Returns a line for each thing that happened."""
        return [line for running in self._running for line in self._look_at(running)]

    def stop(self) -> None:
        """Ask each to end, last one first, wait, and end by force what does not listen."""
        for running in reversed(self._running):
            with suppress(ProcessLookupError):
                running.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for running in reversed(self._running):
            try:
                running.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
            running.log.close()
        self._running.clear()

    def _look_at(self, running: _Running) -> list[str]:
        now = time.monotonic()
        code = running.process.poll()
        if code is None:
            return []
        if running.restart_at is None:
            running.failures = 0 if now - running.started_at > HEALTHY_AFTER_SECONDS else running.failures
            wait = min(LONGEST_BACKOFF_SECONDS, 2.0**running.failures)
            running.failures += 1
            running.restart_at = now + wait
            return [f"{running.service.name} ended with code {code}: starting it again in {wait:.0f} s; see {running.log.name}"]
        if now >= running.restart_at:
            running.process, running.started_at, running.restart_at = self._spawn(running.service, running.log), now, None
        return []

    def _spawn(self, service: Service, log: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            # A session of its own: Ctrl-C reaches the supervisor alone, which then ends each in order.
            return subprocess.Popen(
                service.command, env=dict(self._environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as cause:
            raise Unavailable(
                f"{service.name}: cannot start {service.command[0]}: {cause.strerror}", next_step="run `make setup`"
            ) from cause
