"""How everything is: each service's state, uptime, memory, how far behind it is and how fresh what it makes is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soundlake.errors import SoundlakeError
from soundlake.supervisor import ServiceRecord, State, read_run
from soundlake.supervisor.processes import measure_memory


@dataclass(frozen=True)
class Signs:
    """What tells of a service's work: records it has yet to do, and the age of the newest thing it made; None: not known."""

    lag_records: int | None = None
    fresh_seconds: float | None = None


Probe = Callable[[], Signs]
"""Looks at a service's work. May raise SoundlakeError, which is then told."""


@dataclass(frozen=True)
class ServiceStatus:
    """One service now; memory counts its children too, `last_error` is how it ended last, if it ever did."""

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
    """Everything in one home; `notes` say what could not be looked at, and why."""

    home: Path
    is_up: bool
    snapshot: str | None
    services: tuple[ServiceStatus, ...]
    notes: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Everything runs that should, and answers."""
        return self.is_up and all(service.state is State.RUNNING for service in self.services)

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return {**asdict(self), "is_well": self.is_well}


def look(home: Path, snapshot: str | None, probes: Mapping[str, Probe], now: datetime | None = None) -> Status:
    """Look once at what a supervisor wrote down, at its processes, and by the probes (service name → probe) at their work."""
    record = read_run(home)
    if record is None:
        return Status(home, is_up=False, snapshot=snapshot, services=(), notes=())
    notes = list(record.notes)
    is_up = record.supervisor.find() is not None
    asked = probes if is_up else {}  # servers that are not there would only be waited for
    services = tuple(_look_at(one, asked, notes, now or datetime.now(UTC)) for one in record.services)
    return Status(home, is_up, snapshot, services, tuple(notes))


def _look_at(record: ServiceRecord, probes: Mapping[str, Probe], notes: list[str], now: datetime) -> ServiceStatus:
    process = None if record.process is None else record.process.find()
    signs = _probe(record.name, probes, notes)
    return ServiceStatus(
        name=record.name,
        state=State.GONE if process is None and record.process is not None else record.state,
        pid=None if process is None else process.pid,
        uptime_seconds=None if process is None else round((now - record.since).total_seconds(), 1),
        memory_bytes=None if process is None else measure_memory(process),
        restarts=record.restarts,
        lag_records=signs.lag_records,
        fresh_seconds=signs.fresh_seconds,
        address=record.address,
        log=str(record.log),
        last_error=record.last_error,
    )


def _probe(name: str, probes: Mapping[str, Probe], notes: list[str]) -> Signs:
    try:
        return probes[name]() if name in probes else Signs()
    except SoundlakeError as error:
        notes.append(f"{name}: {error.message}")
        return Signs()
