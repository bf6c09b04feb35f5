"""How a client outside of this project connects to a deployment: addresses, the place of the keys, and variables for its environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from soundlake.settings import Settings, locate_variable


@dataclass(frozen=True)
class Connection:
    """One system: its address without credentials, and the file or the environment that holds its keys (None: it needs none)."""

    name: str
    address: str
    keys: str | None = None


def list_connections(settings: Settings, metrics: Mapping[str, str]) -> tuple[Connection, ...]:
    """The systems of a deployment, its dashboard, and its metrics endpoints (process name → host:port)."""
    warehouse = settings.warehouse_address
    snapshot = f"{warehouse.path / 'snapshots' / 'current.duckdb'} (DuckDB, read-only)" if warehouse.path else warehouse.url
    servers = settings.servers
    return (
        _describe_broker(settings),
        _describe_lake(settings),
        _describe_cache(settings),
        Connection("warehouse", snapshot),
        Connection("dashboard", f"http://{servers.host}:{servers.dashboard_port}"),
        *(Connection(f"metrics of {name}", f"http://{endpoint}/metrics") for name, endpoint in metrics.items()),
    )


def list_connection_variables(settings: Settings) -> dict[str, str | SecretStr]:
    """The variables that a shell needs to connect to the same deployment; unset ones are left out."""
    cache = settings.cache_address.url
    found: dict[str, str | SecretStr] = {
        "SOUNDLAKE_HOME": str(settings.home_folder),
        "SOUNDLAKE_BROKER": settings.broker_address.url,
        "SOUNDLAKE_LAKE": settings.lake_address.url,
        "SOUNDLAKE_WAREHOUSE": settings.warehouse_address.url,
        "SOUNDLAKE_CACHE": SecretStr(cache) if "@" in cache else cache,
    }
    if settings.broker_address.scheme == "kafka":
        kafka = settings.kafka
        found["SOUNDLAKE_KAFKA_SECURITY_PROTOCOL"] = kafka.security_protocol
        if kafka.security_protocol.startswith("SASL"):
            found["SOUNDLAKE_KAFKA_SASL_MECHANISM"] = kafka.sasl_mechanism
            found["SOUNDLAKE_KAFKA_USERNAME"] = kafka.username
            found["SOUNDLAKE_KAFKA_PASSWORD"] = kafka.password
        found["SOUNDLAKE_KAFKA_CA_FILE"] = kafka.ca_file
    if settings.lake_address.scheme == "s3":
        s3 = settings.s3
        found |= {
            "AWS_ENDPOINT_URL": s3.endpoint, "AWS_REGION": s3.region, "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key, "AWS_SESSION_TOKEN": s3.session_token,
            "AWS_ALLOW_HTTP": "true" if s3.allow_http else "", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true" if s3.virtual_hosted else "",
        }  # fmt: skip
    if settings.lake_address.scheme == "gs":
        found["GOOGLE_APPLICATION_CREDENTIALS"] = settings.google.credentials
    return {name: value for name, value in found.items() if _reveal(value)}


def has_secrets(variables: Mapping[str, str | SecretStr]) -> bool:
    """Whether one of them is a secret."""
    return any(isinstance(value, SecretStr) for value in variables.values())


def write_exports(variables: Mapping[str, str | SecretStr]) -> str:
    """`export NAME=value` lines for a POSIX shell, quoted. Holds secrets in clear text: never log it."""
    return "".join(f"export {name}={shlex.quote(_reveal(value))}\n" for name, value in variables.items())


def _describe_broker(settings: Settings) -> Connection:
    address = settings.broker_address
    if address.scheme != "kafka":
        return Connection("broker", f"{address.path or address.url} (embedded log)")
    protocol = settings.kafka.security_protocol
    keys = _locate(settings, "SOUNDLAKE_KAFKA_PASSWORD") if protocol.startswith("SASL") else None
    return Connection("broker", f"{settings.kafka_access.servers} (Kafka bootstrap servers, {protocol})", keys)


def _describe_lake(settings: Settings) -> Connection:
    address = settings.lake_address
    if address.scheme == "s3":
        endpoint = settings.s3.endpoint or f"Amazon S3, {settings.s3.region}"
        return Connection("lake", f"{address.url} (endpoint {endpoint})", _locate(settings, "AWS_SECRET_ACCESS_KEY"))
    if address.scheme == "gs":
        return Connection("lake", address.url, settings.google.credentials or None)
    return Connection("lake", f"{address.path} (Delta tables)")


def _describe_cache(settings: Settings) -> Connection:
    address = settings.cache_address
    if address.scheme == "memory":
        return Connection("cache", "the memory of each process")
    parts = urlsplit(address.url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return Connection("cache", shown, _locate(settings, "SOUNDLAKE_CACHE") if parts.password else None)


def _locate(settings: Settings, variable: str) -> str | None:
    return locate_variable(variable, settings.home_folder)


def _reveal(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
