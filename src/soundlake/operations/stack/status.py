"""Status of a home: each service's state, uptime, memory, lag and freshness, and where clients connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soundlake.errors import SoundlakeError
from soundlake.operations.stack.connections import Connection
from soundlake.supervisor import RunRecord, ServiceRecord, State
from soundlake.supervisor.processes import measure_memory


@dataclass(frozen=True)
class WorkStatus:
    """A service's work: records still to process, and the age of the newest thing it produced; None: not known.

    `notes` say what keeps it from working.
    """

    lag_records: int | None = None
    fresh_seconds: float | None = None
    notes: tuple[str, ...] = ()


Probe = Callable[[], WorkStatus]
"""Measures a service's work. May raise SoundlakeError, which is then reported as a note."""


@dataclass(frozen=True)
class ServiceStatus:
    """One service now; memory includes its children, `last_error` says how its last run ended, if one ever did."""

    name: str
    state: State
    pid: int | None
    uptime_seconds: float | None
    memory_bytes: int | None
    restarts: int
    lag_records: int | None
    fresh_seconds: float | None
    address: str | None
    log: str
    last_error: str | None = None


@dataclass(frozen=True)
class Status:
    """Everything in one home; `notes` say what could not be measured, and why."""

    home: Path
    is_up: bool
    snapshot: str | None
    services: tuple[ServiceStatus, ...]
    connections: tuple[Connection, ...]
    notes: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether every service runs and answers."""
        return self.is_up and all(service.state is State.RUNNING for service in self.services)

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return {**asdict(self), "is_well": self.is_well}


def build_status(
    home: Path,
    record: RunRecord | None,
    *,
    snapshot: str | None = None,
    probes: Mapping[str, Probe] | None = None,
    connections: tuple[Connection, ...] = (),
    now: datetime | None = None,
) -> Status:
    """Compare a run record with the processes that exist, and run the probes (service name → probe).

    Probes are skipped if the supervisor does not run: they would only wait for servers that are down.
    """
    if record is None:
        return Status(home, is_up=False, snapshot=snapshot, services=(), connections=connections, notes=())
    notes = list(record.notes)
    is_up = record.supervisor.find() is not None
    used = (probes or {}) if is_up else {}
    services = tuple(_build_service_status(one, used, notes, now or datetime.now(UTC)) for one in record.services)
    return Status(home, is_up, snapshot, services, connections, tuple(notes))


def _build_service_status(record: ServiceRecord, probes: Mapping[str, Probe], notes: list[str], now: datetime) -> ServiceStatus:
    process = None if record.process is None else record.process.find()
    work = _run_probe(record.name, probes, notes)
    return ServiceStatus(
        name=record.name,
        state=State.GONE if process is None and record.process is not None else record.state,
        pid=None if process is None else process.pid,
        uptime_seconds=None if process is None else round((now - record.since).total_seconds(), 1),
        memory_bytes=None if process is None else measure_memory(process),
        restarts=record.restarts,
        lag_records=work.lag_records,
        fresh_seconds=work.fresh_seconds,
        address=record.address,
        log=str(record.log),
        last_error=record.last_error,
    )


def _run_probe(name: str, probes: Mapping[str, Probe], notes: list[str]) -> WorkStatus:
    try:
        work = probes[name]() if name in probes else WorkStatus()
    except SoundlakeError as error:
        work = WorkStatus(notes=(error.message,))
    notes += (f"{name}: {note}" for note in work.notes)
    return work
