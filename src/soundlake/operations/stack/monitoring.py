"""Metrics of a stack: a port for each process, the list of them for Prometheus, and samples of the services themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from soundlake.local_files import write_file
from soundlake.operations.servers.ports import LOOPBACK, find_free_block, is_free
from soundlake.operations.spotify_services import HISTORY, LIVE
from soundlake.supervisor import Service, State, read_run
from soundlake.supervisor.processes import measure_cpu, measure_memory
from soundlake.telemetry.service_metrics import ServiceSample

FIRST_PORT = 9470
SUPERVISOR = "supervisor"
TARGETS_FILE = "metrics-targets.json"
"""In the home of a stack: the metrics endpoints of its processes, as Prometheus reads them (file_sd_configs)."""

_ALL_ADDRESSES = ("", "0.0.0.0", "::")  # noqa: S104  # only compared with, nothing binds here
_PORT_ORDER = (SUPERVISOR, "sink", "stream", "generator", "transform", "dashboard", "upkeep", HISTORY, LIVE)


def choose_metrics_port(configured: int) -> int:
    """The first metrics port: the configured one, else 9470 if its block is free, else a free block."""
    if configured:
        return configured
    count = len(_PORT_ORDER)
    return FIRST_PORT if all(is_free(FIRST_PORT + offset) for offset in range(count)) else find_free_block(count)


def list_metrics_ports(first: int, services: Iterable[Service]) -> dict[str, int]:
    """The metrics port of the supervisor and of each of these services; a name has the same offset in every stack."""
    running = {SUPERVISOR, *(service.name for service in services)}
    return {name: first + offset for offset, name in enumerate(_PORT_ORDER) if name in running}


def assign_metrics_ports(services: Iterable[Service], ports: Mapping[str, int]) -> tuple[Service, ...]:
    """The services, each with its own metrics port in its environment; 0 turns metrics off."""
    return tuple(
        replace(service, environment={**service.environment, "SOUNDLAKE_METRICS_PORT": str(ports.get(service.name, 0))})
        for service in services
    )


def write_targets(home: Path, host: str, ports: Mapping[str, int]) -> None:
    """Write the list for Prometheus in one step; processes that bind to all addresses are listed on the loopback address."""
    address = LOOPBACK if host in _ALL_ADDRESSES else f"[{host}]" if ":" in host else host
    targets = [{"targets": [f"{address}:{port}"], "labels": {"service": name}} for name, port in ports.items()]
    write_file(home / TARGETS_FILE, json.dumps(targets, indent=1))


def read_targets(home: Path) -> dict[str, str]:
    """The metrics endpoint (host:port) of each process of this home, by name; empty if no stack ran here."""
    with suppress(FileNotFoundError, ValueError):
        targets = json.loads((home / TARGETS_FILE).read_text(encoding="utf-8"))
        return {target["labels"]["service"]: target["targets"][0] for target in targets}
    return {}


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
