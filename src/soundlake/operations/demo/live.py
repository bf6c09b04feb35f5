"""The demo after its build: live events are published by this process; sink, upkeep, transform and dashboard run beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from urllib.parse import urlencode

from soundlake.errors import UsageError
from soundlake.operations.demo.build import Demo
from soundlake.operations.servers.ports import is_free
from soundlake.settings import Settings
from soundlake.supervisor import NON_RETRYABLE_EXIT_CODES, Service, Supervisor

_PORTS_TRIED = 20

Log = Callable[[str], None]


def choose_port(settings: Settings) -> Settings:
    """The settings with the first free port from the dashboard's on. Raises UsageError if the next 20 are taken."""
    host, first = settings.servers.host, settings.servers.dashboard_port
    for port in range(first, min(first + _PORTS_TRIED, 65_536)):
        if is_free(port, host):
            return settings.change(servers={"dashboard_port": port})
    raise UsageError(f"no free port on {host} from {first} on", next_step="name another one in SOUNDLAKE_DASHBOARD_PORT")


def list_services(settings: Settings) -> list[Service]:
    """The services beside the live events, in the order of the data flow."""
    every = f"{settings.transform.every_seconds:g}s"
    address = f"http://{settings.servers.host}:{settings.servers.dashboard_port}"
    commands: dict[str, tuple[tuple[str, ...], str | None]] = {
        "sink": (("sink", "--compact-every", "0"), None),
        "upkeep": (("compact", "--every", "10m"), None),
        "transform": (("transform", "--every", every), None),
        "dashboard": (("serve", "dashboard"), address),
    }
    program = (sys.executable, "-m", "soundlake.cli.app")
    return [
        Service(name, (*program, *words), address, non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES)
        for name, (words, address) in commands.items()
    ]


def run_live(demo: Demo, settings: Settings, log: Log) -> None:
    """Start the services, log their addresses, and publish live events until an exception ends it."""
    settings = choose_port(settings)
    services = list_services(settings)
    with Supervisor(demo.home, settings.child_environment) as supervisor:
        supervisor.start(services)
        for service in services:
            if service.address is not None:
                log(f"{service.name}: {service.address}{_write_view(demo.state.person)}")
        log(f"gold is refreshed every {settings.transform.every_seconds:g} s; logs: {demo.home / 'logs'}")
        log("Ctrl-C ends it; the data stays")

        def watch() -> None:
            for line in supervisor.watch():
                log(line)

        while demo.state.alone:
            watch()
            time.sleep(1.0)
        demo.feed.publish_live(log, watch)


def _write_view(person: str | None) -> str:
    """The query of the dashboard's address that shows that listener's whole history: an export covers years."""
    return "" if person is None else f"/?{urlencode({'listener': person, 'period': 'All time'})}"
