"""How a stack is watched from outside: a port for the metrics of each service, and a list of these for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from soundlake.local_files import write_file
from soundlake.operations.servers.ports import LOOPBACK, find_free_block, is_free
from soundlake.supervisor import Service, State, read_run
from soundlake.supervisor.processes import measure_cpu, measure_memory
from soundlake.telemetry.service_metrics import ServiceSample

FIRST_PORT = 9470
SUPERVISOR = "supervisor"
TARGETS_FILE = "metrics-targets.json"
"""In the home of a stack: where each process offers its metrics, as Prometheus reads it (file_sd_configs)."""

_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # nothing is bound by this
_PLACES = (SUPERVISOR, "sink", "stream", "generator", "transform", "dashboard", "upkeep")


def choose_metrics_port(named: int) -> int:
    """The port of the supervisor's metrics, before those of its services: the one named, or else a usual one, or a free one."""
    if named:
        return named
    return FIRST_PORT if all(is_free(FIRST_PORT + place) for place in range(len(_PLACES))) else find_free_block(len(_PLACES))


def list_metrics_ports(first: int, services: Iterable[Service]) -> dict[str, int]:
    """Where the supervisor and each of these services offers its metrics; a name has the same place in every stack."""
    running = {SUPERVISOR, *(service.name for service in services)}
    return {name: first + place for place, name in enumerate(_PLACES) if name in running}


def give_metrics_ports(services: Iterable[Service], ports: Mapping[str, int]) -> tuple[Service, ...]:
    """The services, each told of its own port; 0 is none."""
    return tuple(
        replace(service, environment={**service.environment, "SOUNDLAKE_METRICS_PORT": str(ports.get(service.name, 0))})
        for service in services
    )


def write_targets(home: Path, host: str, ports: Mapping[str, int]) -> None:
    """Write the list for Prometheus, in one step; what listens on every address of this machine is found on its own."""
    place = LOOPBACK if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    targets = [{"targets": [f"{place}:{port}"], "labels": {"service": name}} for name, port in ports.items()]
    write_file(home / TARGETS_FILE, json.dumps(targets, indent=1))


def sample_services(home: Path) -> list[ServiceSample]:
    """Every service of this home as it is now."""
    record = read_run(home)
    samples = []
    for service in record.services if record is not None else ():
        process = None if service.process is None else service.process.find()
        samples.append(
            ServiceSample(
                name=service.name,
                is_running=process is not None and service.state is State.RUNNING,
                restarts=service.restarts,
                started_at=service.since.timestamp(),
                memory_bytes=None if process is None else measure_memory(process),
                cpu_seconds=None if process is None else measure_cpu(process),
            )
        )
    return samples
