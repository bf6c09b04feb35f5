"""Plan the full stack on this machine: its local servers, its services, and their settings."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from soundlake.errors import SettingsError, UsageError
from soundlake.operations.servers import KafkaServer, ObjectStore, RedisServer, Server
from soundlake.operations.servers.jars import KAFKA_JARS, SPARK_JARS, install_jars
from soundlake.operations.servers.ports import check_free, is_serving
from soundlake.operations.servers.programs import find_spark_java
from soundlake.operations.spotify_services import FAKE, list_spotify_services
from soundlake.operations.stack.monitoring import SUPERVISOR, assign_metrics_ports, choose_metrics_port, list_metrics_ports
from soundlake.settings import Settings, apply_variables
from soundlake.supervisor import NON_RETRYABLE_EXIT_CODES, Service

FOLDER = "stack"
"""The home of the full stack, below SOUNDLAKE_HOME: its lake and warehouse are separate from the embedded demo's."""
BUCKET = "spotify-data-lake"
PROGRAM = (sys.executable, "-m", "soundlake.cli.app")
_READERS_OF_S3 = ("stream", "transform")  # Spark's and DuckDB's readers of Delta tables
DASHBOARD_HEALTH = "/_stcore/health"
"""Streamlit's health endpoint."""


@dataclass(frozen=True)
class PortUse:
    """The ports of one program by purpose, and the setting that moves them."""

    name: str
    ports: Mapping[str, int]
    setting: str


@dataclass(frozen=True)
class Stack:
    """One full stack. `settings` are those of its services; `local_settings` the part that comes from local servers, secrets included."""

    home: Path
    settings: Settings
    servers: tuple[Server, ...]
    services: tuple[Service, ...]
    local_settings: Mapping[str, str]
    metrics_ports: Mapping[str, int]

    @property
    def jars(self) -> dict[Path, Path]:
        """The lists of Java libraries that it needs, each with the folder that holds them."""
        folder = self.settings.servers.downloads.expanduser().absolute()
        needs = {KAFKA_JARS: any(isinstance(server, KafkaServer) for server in self.servers), SPARK_JARS: self.has("stream")}
        return {listing: folder / listing.parent.name for listing, is_needed in needs.items() if is_needed}

    def has(self, service: str) -> bool:
        """Whether it has that service."""
        return any(one.name == service for one in self.services)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its services, without `local_settings`: services read those from the home's settings file."""
        return {name: value for name, value in self.settings.child_environment.items() if name not in self.local_settings}

    def check_ports(self) -> None:
        """Raises Unavailable naming the first port that is taken and the setting that moves it."""
        for use in self.port_uses:
            others = {purpose: port for purpose, port in use.ports.items() if purpose != SUPERVISOR}  # already open, by this process
            check_free(use.name, others, use.setting)

    @property
    def port_uses(self) -> tuple[PortUse, ...]:
        """The ports of everything that listens."""
        dashboard = PortUse("dashboard", {"browsers": self.settings.servers.dashboard_port}, "SOUNDLAKE_DASHBOARD_PORT")
        fake = PortUse(FAKE, {"sign-in and API": self.settings.servers.fake_spotify_port}, "SOUNDLAKE_FAKE_SPOTIFY_PORT")
        return (
            *(PortUse(server.name, server.ports, server.setting) for server in self.servers),
            *([fake] if self.has(FAKE) else []),
            *([dashboard] if self.has("dashboard") else []),
            PortUse("metrics", self.metrics_ports, "SOUNDLAKE_METRICS_PORT"),
        )


def place_stack(settings: Settings) -> Settings:
    """The settings with the stack's home: `stack` below the given home, unless that is a stack's home already."""
    home = settings.home_folder
    return settings.change(home=home if home.name == FOLDER else home / FOLDER)


def plan_stack(settings: Settings, feed: tuple[str, ...], without: Collection[str] = (), *, has_spotify: bool = False) -> Stack:
    """Plan the stack of these settings: a server is local where no address is set; `feed` are the generator's options.

    With `has_spotify` it collects from Spotify, or from a fake one where no app is set.

    Raises UsageError for an unknown service in `without`, SettingsError for an address that is invalid or not supported by a service.
    """
    placed = place_stack(settings)
    servers, local = _plan_servers(placed)
    effective = apply_variables(placed, local).change(metrics={"port": choose_metrics_port(placed.metrics.port)})
    assert all((effective.broker_address, effective.lake_address, effective.cache_address, effective.warehouse_address))
    services = _list_services(effective, feed)
    services = (*services, *list_spotify_services(effective)) if has_spotify else services
    unknown = set(without) - {service.name for service in services}
    if unknown:
        names = ", ".join(service.name for service in services)
        raise UsageError(f"--without {', '.join(sorted(unknown))}: no such service", next_step=f"the services are {names}")
    chosen = tuple(service for service in services if service.name not in without)
    _check_lake(effective, [service.name for service in chosen])
    ports = list_metrics_ports(effective.metrics.port, chosen)
    return Stack(placed.home, effective, servers, assign_metrics_ports(chosen, ports), local, ports)


def install_programs(stack: Stack) -> None:
    """Fetch the jars and check the programs that servers and services need. Raises Unavailable naming what is missing."""
    for listing, folder in stack.jars.items():
        install_jars(listing, folder)
    for server in stack.servers:
        assert server.command
    if stack.has("stream"):
        find_spark_java()


def as_service(server: Server) -> Service:
    """The server as a service of a supervisor."""
    return Service(
        server.name, server.command, server.address, environment=server.environment, prepare=server.prepare, is_ready=server.is_ready
    )


def _plan_servers(settings: Settings) -> tuple[tuple[Server, ...], dict[str, str]]:
    """The local servers, and the settings by which services connect to them."""
    servers: list[Server] = []
    local: dict[str, str] = {}
    if not settings.broker:
        kafka = KafkaServer(
            settings.home / "kafka", settings.servers.kafka_port, settings.servers.downloads.expanduser().absolute() / "kafka"
        )
        servers.append(kafka)
        local["SOUNDLAKE_BROKER"] = f"kafka://{kafka.address}"
        local["SOUNDLAKE_KAFKA_SECURITY_PROTOCOL"] = "PLAINTEXT"
    if not settings.lake:
        store = ObjectStore(settings.home / "object-store", settings.servers.object_store_port, buckets=(BUCKET,))
        servers.append(store)
        local |= {"SOUNDLAKE_LAKE": f"s3://{BUCKET}", **store.storage_options}
    if not settings.cache.get_secret_value():
        redis = RedisServer(settings.home / "redis", settings.servers.redis_port)
        servers.append(redis)
        local["SOUNDLAKE_CACHE"] = redis.url
    return tuple(servers), local


def _check_lake(settings: Settings, services: Collection[str]) -> None:
    cannot = [name for name in _READERS_OF_S3 if name in services]
    if settings.lake_address.scheme == "gs" and cannot:
        without = " ".join(f"--without {name}" for name in cannot)
        raise SettingsError(
            f"SOUNDLAKE_LAKE=gs://…: {' and '.join(cannot)} cannot read a lake in Google Cloud Storage, only folders and s3://",
            next_step=f"leave them out: make up ARGS='{without}'; or set SOUNDLAKE_LAKE to an s3:// bucket",
        )


def _list_services(settings: Settings, feed: tuple[str, ...]) -> tuple[Service, ...]:
    """Our own programs, in the order of the data flow."""
    host, port = urlsplit(f"//{settings.servers.host}").hostname or "", settings.servers.dashboard_port
    every = f"{settings.transform.every_seconds:g}s"
    commands = {
        "sink": ("sink", "--compact-every", "0"),
        "upkeep": ("compact", "--every", "10m"),
        "stream": ("stream",),
        "generator": ("feed", *feed),
        "transform": ("transform", "--every", every),
    }
    dashboard = Service(
        "dashboard", (*PROGRAM, "serve", "dashboard"), f"http://{settings.servers.host}:{port}",
        is_ready=lambda: is_serving(port, DASHBOARD_HEALTH, host), non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES,
    )  # fmt: skip
    return (
        *(Service(name, (*PROGRAM, *words), non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES) for name, words in commands.items()),
        dashboard,
    )
