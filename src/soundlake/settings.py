"""All settings, read once at the edge from the environment and `.env`. Nothing else reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from platformdirs import user_cache_path, user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from soundlake.errors import SettingsError

HOME_SETTINGS = "settings.env"
"""A home may carry the settings that belong to it; `soundlake up` writes them."""

_APART = {
    "kafka": "SOUNDLAKE_KAFKA_USERNAME and SOUNDLAKE_KAFKA_PASSWORD",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
"""Names and passwords that have settings of their own: no address holds them, for addresses are shown."""

_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)
_NO_PORT = re.compile(r":(?!//|\d+(?:[,/]|$))[^,/]*")


@dataclass(frozen=True)
class Address:
    """One parsed address: what kind of system, and where. `path` is set for local ones, `host` and `port` for servers."""

    url: str
    scheme: str
    path: Path | None = None
    host: str = ""
    port: int | None = None


@dataclass(frozen=True)
class KafkaAccess:
    """How a Kafka cluster is reached: `servers` as `host:port,…`, `ca_file` empty for the system's authorities."""

    servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    ca_file: str = ""


class Settings(BaseSettings):
    """One deployment. Every name stands in the environment as SOUNDLAKE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: user_data_path("soundlake"), description="broker, lake, warehouse and state of the embedded default"
    )
    broker: str = Field("", description="event log; default: an SQLite file under home")
    lake: str = Field("", description="bucket or folder of the lake; default: a folder under home")
    warehouse: str = Field("", description="where dbt builds; default: DuckDB under home")
    cache: SecretStr = Field(SecretStr(""), description="live metrics and the state of this second; default: this process's memory")

    topic_partitions: Annotated[int, Field(ge=1, le=1024, description="partitions of a topic that the project makes")] = 4
    topic_retention_hours: Annotated[
        int, Field(ge=1, description="how long the log keeps what was published, once the lake holds it; Kafka also before")
    ] = 168
    bronze_retention_days: Annotated[
        int, Field(ge=0, description="bronze lets go of what happened and came so many days ago; 0 keeps it for good")
    ] = 0
    sink_max_events: Annotated[int, Field(ge=1, description="a batch is closed at this many events")] = 200_000
    sink_max_bytes: Annotated[int, Field(ge=1024, description="a batch is closed at this many bytes of values")] = 128 * 1024 * 1024
    sink_max_seconds: Annotated[float, Field(gt=0, description="a batch is closed at this age, in seconds")] = 1.0

    host: str = Field("127.0.0.1", description="address that servers bind to")
    dashboard_port: Annotated[int, Field(ge=1, le=65535)] = 8501
    transform_every_seconds: Annotated[float, Field(gt=0, description="how often gold is refreshed while services run")] = 60.0
    kafka_port: Annotated[int, Field(ge=1, le=65533, description="local Kafka: this port and the two after it")] = 9092
    object_store_port: Annotated[int, Field(ge=1, le=55526, description="local object store: ten ports from this one on")] = 8333
    redis_port: Annotated[int, Field(ge=1, le=65535, description="local Redis")] = 6379
    metrics_port: Annotated[int, Field(ge=0, le=65500, description="Prometheus metrics of a process; 0: off")] = 0
    metrics_host: str = Field("127.0.0.1", description="address that metrics are offered on")
    log_json: bool = Field(default=False, description="logs are JSON, one object a line")
    downloads: Path = Field(
        default_factory=lambda: user_cache_path("soundlake"), description="jars of Kafka and Spark, shared by all homes of this user"
    )

    stream_master: str = Field("", description="where Spark runs: local[N]; `submitted`: as spark-submit was told; default: this machine")
    stream_memory: str = Field("1g", description="heap of a local Spark, as Java writes it")
    stream_checkpoints: str = Field("", description="folder of the streaming queries' checkpoints; default: under home")
    stream_max_records: Annotated[int, Field(ge=1, description="a micro-batch holds at most so many records")] = 50_000
    stream_repeat_minutes: Annotated[int, Field(ge=1, description="so long a repeat of an event is known; the state grows with it")] = 10

    duckdb_memory: str = Field("8GB", description="memory limit of a warehouse build, as DuckDB writes it")

    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str = Field("", description="user name, or the API key of Confluent Cloud")
    kafka_password: SecretStr = Field(SecretStr(""), description="password, or the API secret of Confluent Cloud")
    kafka_ca_file: str = Field("", description="authorities to trust instead of the system's, as a PEM file")

    s3_endpoint: str = Field("", validation_alias="AWS_ENDPOINT_URL")
    s3_region: str = Field("us-east-1", validation_alias="AWS_REGION")
    s3_access_key: SecretStr = Field(SecretStr(""), validation_alias="AWS_ACCESS_KEY_ID")
    s3_secret_key: SecretStr = Field(SecretStr(""), validation_alias="AWS_SECRET_ACCESS_KEY")
    s3_session_token: SecretStr = Field(SecretStr(""), validation_alias="AWS_SESSION_TOKEN")
    s3_virtual_hosted: bool = Field(default=False, validation_alias="AWS_VIRTUAL_HOSTED_STYLE_REQUEST")
    s3_allow_http: bool = Field(default=False, validation_alias="AWS_ALLOW_HTTP")
    gcs_credentials: str = Field("", validation_alias="GOOGLE_APPLICATION_CREDENTIALS")

    @property
    def broker_address(self) -> Address:
        """The event log."""
        return parse_address("broker", self.broker or f"sqlite://{self._home('broker.db')}", ("sqlite", "memory", "kafka"))

    @property
    def lake_address(self) -> Address:
        """The lake."""
        return parse_address("lake", self.lake or f"file://{self._home('lake')}", ("file", "s3", "gs"))

    @property
    def warehouse_address(self) -> Address:
        """The warehouse; `path` is the folder that holds build.duckdb and snapshots/."""
        return parse_address("warehouse", self.warehouse or f"duckdb://{self._home('warehouse')}", ("duckdb", "snowflake"))

    @property
    def cache_address(self) -> Address:
        """The cache; a password may stand in its `url`."""
        return parse_address("cache", self.cache.get_secret_value() or "memory://", ("memory", "redis", "rediss"))

    @property
    def kafka_access(self) -> KafkaAccess:
        """The Kafka cluster of `broker_address`, and who we are there."""
        return KafkaAccess(
            self.broker_address.url.removeprefix("kafka://").rstrip("/"),
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_username,
            self.kafka_password,
            self.kafka_ca_file,
        )

    @property
    def topic_retention_ms(self) -> int:
        """How long Kafka keeps a record, in milliseconds."""
        return self.topic_retention_hours * 3_600_000

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs needs to reach the lake; secrets in clear, so never log it. Empty for a local folder."""
        if self.lake_address.scheme == "s3":
            options = {
                "AWS_REGION": self.s3_region,
                "AWS_ENDPOINT_URL": self._s3_endpoint,
                "AWS_ACCESS_KEY_ID": self.s3_access_key.get_secret_value(),
                "AWS_SECRET_ACCESS_KEY": self.s3_secret_key.get_secret_value(),
                "AWS_SESSION_TOKEN": self.s3_session_token.get_secret_value(),
                "AWS_ALLOW_HTTP": str(self.s3_allow_http).lower(),
                "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true" if self.s3_virtual_hosted else "",
            }
            return {name: value for name, value in options.items() if value}
        if self.lake_address.scheme == "gs" and self.gcs_credentials:
            return {"GOOGLE_APPLICATION_CREDENTIALS": self.gcs_credentials}
        return {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret in clear, for whoever has to hide them."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))

    @property
    def child_environment(self) -> dict[str, str]:
        """The environment of a process that shall have the same settings: this one's, with home and port made plain."""
        return {**os.environ, "SOUNDLAKE_HOME": str(self._home("").resolve()), "SOUNDLAKE_DASHBOARD_PORT": str(self.dashboard_port)}

    @property
    def _s3_endpoint(self) -> str:
        """As object_store wants it: with the bucket in the host's name where requests are virtual-hosted."""
        scheme, found, host = self.s3_endpoint.partition("://")
        bucket = f"{self.lake_address.host}."
        return f"{scheme}://{bucket}{host.removeprefix(bucket)}" if found and self.s3_virtual_hosted else self.s3_endpoint

    def _home(self, name: str) -> Path:
        return self.home.expanduser().absolute() / name


def parse_address(setting: str, url: str, schemes: tuple[str, ...]) -> Address:
    """One address, checked. Raises SettingsError that names the setting and what it may be, and repeats no name or password."""
    name = f"SOUNDLAKE_{setting.upper()}"
    shown = name + _tell(url)
    try:
        parts = urlsplit(url)
    except ValueError:  # not chained, here and below: it repeats what was written
        raise SettingsError(f"{name}: not an address", next_step=f"write {schemes[-1]}://host:port") from None
    if parts.scheme not in schemes:
        begins = ", ".join(f"{scheme}://" for scheme in schemes)
        raise SettingsError(f"{shown}: not an address of a {setting}", next_step=f"begin it with one of {begins}")
    if parts.scheme in ("sqlite", "file", "duckdb"):
        if parts.netloc or not parts.path.startswith("/"):
            raise SettingsError(f"{shown}: a local address needs an absolute path", next_step=f"write {parts.scheme}:///absolute/path")
        return Address(url, parts.scheme, path=Path(parts.path))
    if parts.scheme in _APART and "@" in (url if parts.scheme == "kafka" else parts.netloc):
        raise SettingsError(f"{shown}: a name and a password do not belong in this address", next_step=f"set {_APART[parts.scheme]}")
    if parts.scheme == "kafka":
        parts = urlsplit(f"kafka://{parts.netloc.partition(',')[0]}")  # further servers of the cluster may follow
    try:
        port = parts.port
    except ValueError:
        raise SettingsError(f"{name}: the port is not a number", next_step=f"write {parts.scheme}://host:port") from None
    if parts.scheme != "memory" and not parts.hostname:
        raise SettingsError(f"{name}: no host or bucket", next_step=f"write {parts.scheme}://host-or-bucket")
    return Address(url, parts.scheme, host=parts.hostname or "", port=port)


def load_settings(*, with_home: bool = True, **overrides: object) -> Settings:
    """The settings of this process: the environment's, then those of the file that a home may carry (`with_home`), then `.env`.

    Raises SettingsError naming each setting that makes no sense.
    """
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # overrides are checked by the model itself
        own = settings.home.expanduser() / HOME_SETTINGS
        return Settings(_env_file=(".env", own), **overrides) if with_home and own.is_file() else settings  # type: ignore[arg-type]  # the same
    except ValidationError as cause:
        places = [(str(e["loc"][0]), e["msg"]) for e in cause.errors()]  # a field's name, or its alias
        wrong = "; ".join(f"{f'SOUNDLAKE_{name.upper()}' if name in Settings.model_fields else name}: {said}" for name, said in places)
        raise SettingsError(wrong, next_step="correct it in the environment or in .env; .env.example lists them all") from cause


def hand_down(name: str, value: str, *, unless_set: bool = False) -> None:
    """Set a variable for this process and all its children, as if it had been started with it; `unless_set`: unless it was."""
    if not (unless_set and name in os.environ):
        os.environ[name] = value


def extend_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: this one's, with additions."""
    return {**os.environ, **additions}


def _tell(url: str) -> str:
    """`=url` for an error, without what may be secret: before an @, after a ?, in a port's place, and all of it where it is no address."""
    shown = _NO_PORT.sub(":***", _CREDENTIALS.sub(r"\1***@", url).partition("?")[0])
    return f"={shown}" if "://" in url or "@" in url else ""
