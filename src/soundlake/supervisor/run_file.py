"""The run file: what runs in a home, written by its supervisor for `soundlake status`, `soundlake down` and the next start."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from soundlake.local_files import write_file
from soundlake.supervisor.processes import end_processes

RUN_FILE = "run.json"
_SAME_START_SECONDS = 0.05


class State(StrEnum):
    """The state of a service."""

    STARTING = "starting"
    RUNNING = "running"
    SILENT = "not answering"  # it was ready once and fails its liveness probes now
    WAITING = "waiting"  # it ended, and its restart is scheduled
    GONE = "gone"  # the run file says that it runs, and its process does not exist


class ProcessId(BaseModel):
    """A process, safe against reuse of its number: the number, and its start in seconds after the machine booted."""

    pid: int
    begun: float

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process of that number, if there is one now."""
        with suppress(psutil.Error):
            return cls(pid=pid, begun=_read_start(psutil.Process(pid)))
        return None

    def find(self) -> psutil.Process | None:
        """The same process, if it still runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(_read_start(process) - self.begun) < _SAME_START_SECONDS and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


class ServiceRecord(BaseModel):
    """One service: its state, its process (None while it waits), the time of its last start (UTC), its restarts, its log.

    `last_error`: the exit code of the last run that ended, and the error that it printed; None if none ever ended.
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
    """A supervisor and its services; `is_complete` once all of them have been ready. `notes` are for the user."""

    supervisor: ProcessId
    services: tuple[ServiceRecord, ...]
    is_complete: bool = False
    notes: tuple[str, ...] = ()

    def find_processes(self) -> dict[str, psutil.Process]:
        """The services that still run, by name and in their order."""
        found = {service.name: service.process.find() for service in self.services if service.process is not None}
        return {name: process for name, process in found.items() if process is not None}


def read_run(home: Path) -> RunRecord | None:
    """The record of the last supervisor of this home, alive or not; None if there was none, or it cannot be read."""
    try:
        return RunRecord.model_validate_json((home / RUN_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write_run(home: Path, record: RunRecord) -> None:
    """Replace the run file in one step."""
    write_file(home / RUN_FILE, record.model_dump_json(indent=1))


def end_leftovers(home: Path) -> list[str]:
    """End the services that a killed supervisor has left running in this home; returns their names."""
    record = read_run(home)
    if record is None or record.supervisor.find() is not None:
        return []
    left = record.find_processes()
    end_processes(list(left.values()))
    return list(left)


def _read_start(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()
