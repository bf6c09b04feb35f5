"""What runs in a home, written down by its supervisor for others to read: `soundlake status`, `soundlake down`, the next start."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

RUN_FILE = "run.json"
STOP_SECONDS = 40.0
_SAME_START_SECONDS = 0.05


class State(StrEnum):
    """What a service is doing, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    SILENT = "not answering"  # it runs, has answered before, and does not any more
    WAITING = "waiting"  # it ended and will be started again
    GONE = "gone"  # it was running when its supervisor last looked, and is not any more


class ProcessId(BaseModel):
    """One process and no other that has its number later: when it began, in seconds after the machine did."""

    pid: int
    begun: float

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process of that number, if there is one now."""
        with suppress(psutil.Error):
            return cls(pid=pid, begun=_read_begun(psutil.Process(pid)))
        return None

    def find(self) -> psutil.Process | None:
        """The very process, if it still runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(_read_begun(process) - self.begun) < _SAME_START_SECONDS and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


class ServiceRecord(BaseModel):
    """One service: its state, its process (None: not now), since when (UTC), how often it was started again, where it prints to.

    `last_error`: how it ended last and what it said then; None if it never ended.
    """

    name: str
    state: State
    process: ProcessId | None
    since: datetime
    restarts: int
    log: Path
    address: str | None = None
    last_error: str | None = None


class RunRecord(BaseModel):
    """A supervisor and what it keeps alive; `is_complete` once every service of the beginning has become ready.

    `notes`: what the user should know of it.
    """

    supervisor: ProcessId
    services: tuple[ServiceRecord, ...]
    is_complete: bool = False
    notes: tuple[str, ...] = ()


def read_run(home: Path) -> RunRecord | None:
    """The record of the last supervisor of this home, alive or not; None if there was none, or it cannot be read."""
    try:
        return RunRecord.model_validate_json((home / RUN_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_run(home: Path, record: RunRecord) -> None:
    """Write it in one step."""
    draft = home / f".{RUN_FILE}.part"
    draft.write_text(record.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(home / RUN_FILE)


def find_processes(record: RunRecord) -> list[psutil.Process]:
    """The services of a record that still run, in their order."""
    found = [service.process.find() for service in record.services if service.process is not None]
    return [process for process in found if process is not None]


def end_processes(processes: Sequence[psutil.Process], patience_seconds: float = STOP_SECONDS) -> None:
    """Ask each to end, the last one first, wait, and end by force what does not listen, and the groups that they led."""
    _each(reversed(processes), "terminate")
    _, deaf = psutil.wait_procs(processes, timeout=patience_seconds)
    _each(deaf, "kill")
    psutil.wait_procs(deaf, timeout=patience_seconds)
    for process in processes:
        end_group(process.pid)


def end_group(leader: int) -> None:
    """End by force what is left of the process group that this process led; there may be nothing."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def end_leftovers(home: Path) -> list[str]:
    """End what a supervisor that was killed has left running in this home; the names of what it was."""
    record = read_run(home)
    if record is None or record.supervisor.find() is not None:
        return []
    left = {service.name: process for service in record.services if service.process and (process := service.process.find())}
    end_processes(list(left.values()))
    return list(left)


def measure_memory(process: psutil.Process) -> int:
    """Bytes of memory that a process and all its children have now."""
    total = 0
    with suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def wait_until_gone(process: ProcessId, patience_seconds: float) -> bool:
    """Whether the process ended within that time."""
    deadline = time.monotonic() + patience_seconds
    while process.find() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _each(processes: Iterable[psutil.Process], act: str) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            getattr(process, act)()


def _read_begun(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()
