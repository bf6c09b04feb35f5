"""Services as processes of their own: started, watched, started again with back-off, stopped in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from soundlake.errors import SoundlakeError, Unavailable
from soundlake.operations.run_file import ProcessId, RunRecord, ServiceRecord, State, end_leftovers, write_run
from soundlake.operations.servers.process import read_tail, spawn

LONGEST_BACKOFF_SECONDS = 30.0
STOP_SECONDS = 20.0
HEALTHY_AFTER_SECONDS = 30.0
_LARGEST_LOG_BYTES = 20 * 1024 * 1024
_POLL_SECONDS = 0.1


def do_nothing() -> None:
    """For a service that needs no preparation."""


def is_always_ready() -> bool:
    """For a service that cannot be asked."""
    return True


@dataclass(frozen=True)
class Service:
    """One program that shall run: its name, its command and, where it has one, the address a user opens.

    `prepare` is called before each start, `is_ready` until it says so; `environment` is added to that of all.
    """

    name: str
    command: tuple[str, ...]
    address: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = do_nothing
    is_ready: Callable[[], bool] = is_always_ready


@dataclass
class _Running:
    service: Service
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    started_at: float
    since: datetime
    is_ready: bool = False
    failures: int = 0
    restarts: int = 0
    restart_at: float | None = None


class Supervisor:
    """Keeps services alive until it is left; what each prints goes to `<home>/logs/<name>.log`, what runs stands in the run file.

    A service that ends is started again after 1, 2, 4 … 30 seconds; one that ran half a minute begins at 1 anew. Services end with
    this process, however it ends; where the system cannot see to that, the next supervisor of this home ends them.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._logs = home / "logs"
        self._environment = environment
        self._groups: list[list[_Running]] = []
        self._is_complete = False

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        end_leftovers(self._home)
        self._write_down()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, services: Sequence[Service]) -> None:
        """Start each service; raises Unavailable if one cannot be started at all. What is started together ends together."""
        group: list[_Running] = []
        self._groups.append(group)
        for service in services:
            log = _open_log(self._logs / f"{service.name}.log")
            try:
                process = self._spawn(service, log)
            except Unavailable:
                log.close()
                raise
            group.append(_Running(service, process, log, time.monotonic(), datetime.now(UTC)))
        self._write_down()

    def wait_until_ready(self, patience_seconds: float) -> None:
        """Return when all that was started is ready. Raises Unavailable, with the end of its log, if one ended or takes too long."""
        deadline = time.monotonic() + patience_seconds
        while waiting := [running for running in self._running if not self._look_for_readiness(running)]:
            ended = [running for running in waiting if running.process.poll() is not None]
            if ended or time.monotonic() > deadline:
                late = (ended or waiting)[0]
                what = "ended at once" if ended else f"is not ready after {patience_seconds:.0f} s"
                raise Unavailable(f"{late.service.name} {what}: {read_tail(Path(late.log.name))}", next_step=f"see {late.log.name}")
            time.sleep(_POLL_SECONDS)
        self._write_down()

    def declare_complete(self) -> None:
        """Write down that everything is there that was to be started."""
        self._is_complete = True
        self._write_down()

    def watch(self) -> list[str]:
        """Look once at each service; start again what ended. Returns a line for each thing that happened."""
        before = self._describe()
        told = [line for running in self._running for line in self._look_at(running)]
        if self._describe() != before:
            try:
                self._write_down()
            except OSError as error:
                told.append(f"what runs cannot be written down: {error}")
        return told

    def stop(self) -> None:
        """Ask each to end, what was started last first, wait, and end by force what does not listen."""
        while self._groups:
            group = self._groups.pop()
            for running in reversed(group):
                with suppress(ProcessLookupError):
                    running.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            for running in reversed(group):
                _wait(running.process, max(0.1, deadline - time.monotonic()))
                running.log.close()
        self._write_down()

    @property
    def _running(self) -> list[_Running]:
        return [running for group in self._groups for running in group]

    def _look_at(self, running: _Running) -> list[str]:
        now = time.monotonic()
        code = running.process.poll()
        if code is None:
            self._look_for_readiness(running)
            return []
        if running.restart_at is None:
            running.failures = 0 if now - running.started_at > HEALTHY_AFTER_SECONDS else running.failures
            return [f"{running.service.name} ended with code {code}: {_postpone(running, now)}"]
        return self._start_again(running, now) if now >= running.restart_at else []

    def _start_again(self, running: _Running, now: float) -> list[str]:
        """What cannot be started now (a full disk, a program that is gone) is tried again later: the others need their supervisor."""
        try:
            running.process = self._spawn(running.service, running.log)
        except (SoundlakeError, OSError) as error:
            return [f"{running.service.name} cannot be started ({error}): {_postpone(running, now)}"]
        running.started_at, running.restart_at = now, None
        running.since, running.restarts = datetime.now(UTC), running.restarts + 1
        return []

    def _look_for_readiness(self, running: _Running) -> bool:
        running.is_ready = running.is_ready or (running.process.poll() is None and running.service.is_ready())
        return running.is_ready

    def _spawn(self, service: Service, log: IO[bytes]) -> subprocess.Popen[bytes]:
        service.prepare()
        if shutil.which(service.command[0]) is None:
            raise Unavailable(f"{service.name}: cannot start {service.command[0]}: no such program", next_step="run `make setup`")
        return spawn(service.command, {**self._environment, **service.environment}, log)

    def _describe(self) -> tuple[ServiceRecord, ...]:
        return tuple(_describe(running) for running in self._running)

    def _write_down(self) -> None:
        supervisor = ProcessId.of(os.getpid())
        assert supervisor is not None
        write_run(self._home, RunRecord(supervisor=supervisor, services=self._describe(), is_complete=self._is_complete))


def _postpone(running: _Running, now: float) -> str:
    wait = min(LONGEST_BACKOFF_SECONDS, 2.0**running.failures)
    running.failures += 1
    running.restart_at, running.is_ready = now + wait, False
    return f"starting it again in {wait:.0f} s; see {running.log.name}"


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _describe(running: _Running) -> ServiceRecord:
    state = State.WAITING if running.restart_at is not None else State.RUNNING if running.is_ready else State.STARTING
    return ServiceRecord(
        name=running.service.name,
        state=state,
        process=None if state is State.WAITING else ProcessId.of(running.process.pid),
        since=running.since,
        restarts=running.restarts,
        log=Path(running.log.name),
        address=running.service.address,
    )


def _open_log(path: Path) -> IO[bytes]:
    """The log to go on with; one that has grown large becomes `<name>.log.1`, in place of the one before."""
    if path.exists() and path.stat().st_size > _LARGEST_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
