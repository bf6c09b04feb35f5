"""What this machine lacks for the full stack, and the command that mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from soundlake.errors import SoundlakeError
from soundlake.operations.servers import Server
from soundlake.operations.servers.jars import Jar, find_missing, read_jars
from soundlake.operations.servers.ports import check_free
from soundlake.operations.servers.programs import find_java, find_spark_java
from soundlake.operations.stack.plan import PortUse, Stack
from soundlake.operations.stack.topics import name_repair

_NEEDED_MEMORY_GIB = 6.0  # measured after eight minutes: servers 0.6, our programs 1.9, Spark 2.9 (as if nothing of it were shared)
_NEEDED_DISK_GIB = 5.0
_PACKAGES = {"confluent_kafka": "Kafka's client", "redis": "Redis's client", "dbt": "dbt", "streamlit": "the dashboard", "pyspark": "Spark"}
_INSTALL = "make setup-stack"


class Verdict(StrEnum):
    """Whether something is there. `missing` keeps the stack from starting, `lacking` only costs something."""

    THERE = "there"
    LACKING = "lacking"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what mends it."""

    name: str
    verdict: Verdict
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked at."""

    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """All that is needed is there."""
        return all(finding.verdict is not Verdict.MISSING for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return {"is_well": self.is_well, "findings": [asdict(finding) for finding in self.findings]}


CompareTopics = Callable[[], Sequence[str]]
"""Tells where the topics of a cluster differ from what they should be. May raise SoundlakeError."""


def examine(stack: Stack, *, is_up: bool, compare_topics: CompareTopics = tuple) -> Diagnosis:
    """Look at the machine for a stack, as it was planned; the ports of one that is up are its own, and so is its log."""
    findings = [
        *_examine_packages(),
        _examine_java(stack),
        *_examine_servers(stack),
        *_examine_jars(stack),
        _examine_memory(),
        _examine_disk(stack.home),
    ]
    if not is_up:
        findings += _examine_ports(stack)
    if is_up or "SOUNDLAKE_BROKER" not in stack.local_settings:
        findings.append(_examine_topics(compare_topics, name_repair(stack)))
    return Diagnosis(tuple(findings))


def _examine_packages() -> Iterator[Finding]:
    for package, called in _PACKAGES.items():
        if find_spec(package) is not None:
            yield Finding(f"package {package}", Verdict.THERE, called)
        else:
            yield Finding(f"package {package}", Verdict.MISSING, f"{called} is not installed", _INSTALL)


def _examine_java(stack: Stack) -> Finding:
    return _try("java", lambda: str(find_spark_java() if stack.has("stream") else find_java()))


def _examine_servers(stack: Stack) -> Iterator[Finding]:
    """A local server's program, and its libraries; a server that is elsewhere needs none."""
    for server in stack.servers:
        yield _try(f"server {server.name}", partial(_find_program, server))


def _find_program(server: Server) -> str:
    return server.command[0]


def _examine_jars(stack: Stack) -> Iterator[Finding]:
    for listing, folder in stack.jars.items():
        name = f"jars of {folder.name}"
        if missing := find_missing(read_jars(listing), folder):
            yield Finding(name, Verdict.LACKING, _describe_missing(missing, folder), "make up, which fetches them")
        else:
            yield Finding(name, Verdict.THERE, str(folder))


def _describe_missing(missing: Sequence[Jar], folder: Path) -> str:
    wrong = [jar.file_name for jar in missing if (folder / jar.file_name).exists()]
    absent = len(missing) - len(wrong)
    said = [f"{absent} are not in {folder} yet"] if absent else []
    return ", ".join([*said, *(f"{folder / name} is not what its hash says" for name in wrong)])


def _examine_ports(stack: Stack) -> Iterator[Finding]:
    for use in stack.port_uses:
        yield _try(f"ports of {use.name}", partial(_check_ports, use))


def _check_ports(use: PortUse) -> str:
    check_free(use.name, use.ports, use.setting)
    return f"{', '.join(map(str, use.ports.values()))} are free"


def _examine_topics(compare: CompareTopics, repair: str) -> Finding:
    try:
        differences = compare()
    except SoundlakeError as error:
        return Finding("topics", Verdict.MISSING, error.message, error.next_step)
    if not differences:
        return Finding("topics", Verdict.THERE, "those that are there are as they should be")
    return Finding("topics", Verdict.LACKING, "; ".join(differences), repair)


def _try(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, Verdict.THERE, look())
    except SoundlakeError as error:
        return Finding(name, Verdict.MISSING, error.message, error.next_step)


def _examine_memory() -> Finding:
    free = psutil.virtual_memory().available / 2**30
    return _compare("memory", free, _NEEDED_MEMORY_GIB, "available", "make up ARGS='--without stream'")


def _examine_disk(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    return _compare("disk", free, _NEEDED_DISK_GIB, f"free in {existing}", "name a folder with room in SOUNDLAKE_HOME")


def _compare(name: str, free: float, comfortable: float, what: str, remedy: str) -> Finding:
    found = f"{free:.1f} GiB {what}, {comfortable:.0f} are comfortable"
    return Finding(name, Verdict.THERE, found) if free >= comfortable else Finding(name, Verdict.LACKING, found, remedy)
