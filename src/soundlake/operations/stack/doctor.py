"""Check this machine for the full stack; each finding names the command that fixes it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
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
from soundlake.operations.stack.findings import Finding, Verdict, run_check
from soundlake.operations.stack.plan import PortUse, Stack
from soundlake.operations.stack.spotify_checks import check_spotify
from soundlake.operations.stack.topics import name_repair

_NEEDED_MEMORY_GIB = 6.0  # measured after eight minutes: servers 0.6, our programs 1.9, Spark 2.9 (sum of RSS)
_NEEDED_DISK_GIB = 5.0
_PACKAGES = {
    "confluent_kafka": "Kafka's client",
    "redis": "Redis's client",
    "dbt": "dbt",
    "streamlit": "the dashboard",
    "pyspark": "Spark",
    "httpx": "the client of Spotify",
}
_INSTALL = "make setup-stack"


@dataclass(frozen=True)
class Diagnosis:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing that is needed is missing."""
        return all(finding.verdict is not Verdict.MISSING for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Everything by name."""
        return {"is_well": self.is_well, "findings": [asdict(finding) for finding in self.findings]}


CompareTopics = Callable[[], Sequence[str]]
"""Returns the differences between a cluster's topics and the plan. May raise SoundlakeError."""


def check_machine(stack: Stack, *, is_up: bool, compare_topics: CompareTopics = tuple) -> Diagnosis:
    """Check the machine for a planned stack. Ports are checked only while it is down, topics of a local broker only while it is up."""
    findings = [
        *_check_packages(),
        _check_java(stack),
        *_check_servers(stack),
        *_check_jars(stack),
        _check_memory(),
        _check_disk(stack.home),
        *check_spotify(stack.settings, stack.home),
    ]
    if not is_up:
        findings += _check_ports(stack)
    if is_up or "SOUNDLAKE_BROKER" not in stack.local_settings:
        findings.append(_check_topics(compare_topics, name_repair(stack)))
    return Diagnosis(tuple(findings))


def _check_packages() -> Iterator[Finding]:
    for package, called in _PACKAGES.items():
        if find_spec(package) is not None:
            yield Finding(f"package {package}", Verdict.THERE, called)
        else:
            yield Finding(f"package {package}", Verdict.MISSING, f"{called} is not installed", _INSTALL)


def _check_java(stack: Stack) -> Finding:
    return run_check("java", lambda: str(find_spark_java() if stack.has("stream") else find_java()))


def _check_servers(stack: Stack) -> Iterator[Finding]:
    """The programs of the local servers; a server elsewhere needs none."""
    for server in stack.servers:
        yield run_check(f"server {server.name}", partial(_find_program, server))


def _find_program(server: Server) -> str:
    return server.command[0]


def _check_jars(stack: Stack) -> Iterator[Finding]:
    for listing, folder in stack.jars.items():
        name = f"jars of {folder.name}"
        if missing := find_missing(read_jars(listing), folder):
            yield Finding(name, Verdict.LACKING, _describe_missing(missing, folder), "make up (fetches them)")
        else:
            yield Finding(name, Verdict.THERE, str(folder))


def _describe_missing(missing: Sequence[Jar], folder: Path) -> str:
    wrong = [jar.file_name for jar in missing if (folder / jar.file_name).exists()]
    absent = len(missing) - len(wrong)
    parts = [f"{absent} are not in {folder} yet"] if absent else []
    return ", ".join([*parts, *(f"{folder / name} has another SHA-256 than the list" for name in wrong)])


def _check_ports(stack: Stack) -> Iterator[Finding]:
    for use in stack.port_uses:
        yield run_check(f"ports of {use.name}", partial(_check_port_use, use))


def _check_port_use(use: PortUse) -> str:
    check_free(use.name, use.ports, use.setting)
    return f"{', '.join(map(str, use.ports.values()))} are free"


def _check_topics(compare: CompareTopics, repair: str) -> Finding:
    try:
        differences = compare()
    except SoundlakeError as error:
        return Finding("topics", Verdict.MISSING, error.message, error.next_step)
    if not differences:
        return Finding("topics", Verdict.THERE, "all existing topics have the expected settings")
    return Finding("topics", Verdict.LACKING, "; ".join(differences), repair)


def _check_memory() -> Finding:
    free = psutil.virtual_memory().available / 2**30
    return _compare("memory", free, _NEEDED_MEMORY_GIB, "available", "make up ARGS='--without stream'")


def _check_disk(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    return _compare("disk", free, _NEEDED_DISK_GIB, f"free in {existing}", "set SOUNDLAKE_HOME to a folder on a larger disk")


def _compare(name: str, free: float, recommended: float, what: str, remedy: str) -> Finding:
    found = f"{free:.1f} GiB {what}, {recommended:.0f} GiB recommended"
    return Finding(name, Verdict.THERE, found) if free >= recommended else Finding(name, Verdict.LACKING, found, remedy)
