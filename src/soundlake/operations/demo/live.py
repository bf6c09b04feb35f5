"""The live part of the demo: this process publishes live events; sink, upkeep, transform, dashboard and a fake Spotify run beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from soundlake.errors import UsageError
from soundlake.operations.demo.build import Demo
from soundlake.operations.servers.ports import LOOPBACK, is_free
from soundlake.operations.spotify_services import FAKE_ACCOUNT, list_spotify_services, needs_fake
from soundlake.settings import Settings
from soundlake.supervisor import NON_RETRYABLE_EXIT_CODES, Service, Supervisor

_PORTS_TRIED = 20

Log = Callable[[str], None]


def choose_ports(settings: Settings) -> Settings:
    """The settings with the first free ports for the dashboard and the fake Spotify. Raises UsageError if the next 20 are taken."""
    dashboard = _find_port(settings.servers.dashboard_port, settings.servers.host, "SOUNDLAKE_DASHBOARD_PORT")
    fake = _find_port(settings.servers.fake_spotify_port, LOOPBACK, "SOUNDLAKE_FAKE_SPOTIFY_PORT")
    return settings.change(servers={"dashboard_port": dashboard, "fake_spotify_port": fake})


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


@contextmanager
def run_services(settings: Settings, *, has_spotify: bool) -> Iterator[Supervisor]:
    """The supervisor of the demo's services, which end with the block; Spotify is collected from at once, beside the build."""
    with Supervisor(settings.home_folder, settings.child_environment) as supervisor:
        supervisor.start(list_spotify_services(settings) if has_spotify else ())
        yield supervisor


def run_live(demo: Demo, settings: Settings, supervisor: Supervisor, log: Log, *, has_spotify: bool) -> None:
    """Start the services, log their addresses, and publish live events until an exception ends it."""
    services = list_services(settings)
    supervisor.start(services)
    for service in services:
        if service.address is not None:
            log(f"{service.name}: {service.address}{_write_view(demo.state.person)}")
            if has_spotify and needs_fake(settings):
                log(f"the fake Spotify's listener: {service.address}{_write_view(FAKE_ACCOUNT)}")
    log(f"gold is refreshed every {settings.transform.every_seconds:g} s; logs: {demo.home / 'logs'}")
    log("Ctrl-C ends it; the data stays")

    def watch() -> None:
        for line in supervisor.watch():
            log(line)

    while demo.state.alone:
        watch()
        time.sleep(1.0)
    demo.feed.publish_live(log, watch)


def _find_port(first: int, host: str, setting: str) -> int:
    for port in range(first, min(first + _PORTS_TRIED, 65_536)):
        if is_free(port, host):
            return port
    raise UsageError(f"no free port on {host} from {first} on", next_step=f"name another one in {setting}")


def _write_view(person: str | None) -> str:
    """The query of the dashboard's address that shows that listener's whole history: an export covers years."""
    return "" if person is None else f"/?{urlencode({'listener': person, 'period': 'All time'})}"
