"""The demo that stays: live events flow in this process; the sink, the refresher and the dashboard run beside it."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from urllib.parse import urlencode

from soundlake.errors import UsageError
from soundlake.operations.demo import Demo
from soundlake.settings import Settings
from soundlake.supervisor import NON_RETRYABLE_EXIT_CODES, Service, Supervisor

_PORTS_TRIED = 20

Tell = Callable[[str], None]


def choose_port(settings: Settings) -> Settings:
    """The settings with the first free port from the dashboard's on. Raises UsageError if there is none near."""
    for port in range(settings.servers.dashboard_port, min(settings.servers.dashboard_port + _PORTS_TRIED, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((settings.servers.host, port))
                return settings.change(servers={"dashboard_port": port})
    raise UsageError(
        f"no free port on {settings.servers.host} from {settings.servers.dashboard_port} on", next_step="name another one in SOUNDLAKE_DASHBOARD_PORT"
    )


def list_services(settings: Settings) -> list[Service]:
    """What runs beside the live events, in the order of the road."""
    program = (sys.executable, "-m", "soundlake.cli.app")
    return [
        Service("sink", (*program, "sink", "--compact-every", "0"), non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES),
        Service("upkeep", (*program, "compact", "--every", "10m"), non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES),
        Service("transform", (*program, "transform", "--every", f"{settings.transform.every_seconds:g}s"), non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES),
        Service("dashboard", (*program, "serve", "dashboard"), f"http://{settings.servers.host}:{settings.servers.dashboard_port}", non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES),
    ]


class _Stopped(Exception):  # no error: somebody asked for the end
    """SIGTERM came."""


@contextmanager
def stop_on_request() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block in order, and nothing else."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with suppress(KeyboardInterrupt, _Stopped):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stay(demo: Demo, settings: Settings, tell: Tell) -> None:
    """Start the services, say where they are, and let live events flow until somebody asks for the end."""
    settings = choose_port(settings)
    services = list_services(settings)
    with stop_on_request(), Supervisor(demo.home, settings.child_environment) as supervisor:
        supervisor.start(services)
        for service in services:
            if service.address is not None:
                tell(f"{service.name}: {service.address}{_write_view(demo.state.person)}")
        tell(f"gold is refreshed every {settings.transform.every_seconds:g} s; logs: {demo.home / 'logs'}")
        tell("Ctrl-C ends it; everything is kept")

        def look_around() -> None:
            for line in supervisor.watch():
                tell(line)

        while demo.state.alone:
            look_around()
            time.sleep(1.0)
        demo.feed.flow(tell, look_around)


def _write_view(person: str | None) -> str:
    """The dashboard's view of that listener, as the end of its address: exports reach back for years."""
    return "" if person is None else f"/?{urlencode({'listener': person, 'period': 'All time'})}"
