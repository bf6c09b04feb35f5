"""One deployment: its home, its four addresses and the groups of settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

from soundlake.settings.addresses import Address, parse_address
from soundlake.settings.groups import (
    BronzeSettings,
    MetricsSettings,
    ServerSettings,
    SettingsGroup,
    SinkSettings,
    StreamSettings,
    TopicSettings,
    TransformSettings,
)
from soundlake.settings.kafka import KafkaAccess, KafkaSettings
from soundlake.settings.object_store import GoogleSettings, S3Settings, find_storage_options
from soundlake.settings.schema_registry import SchemaRegistrySettings


class Settings(SettingsGroup):
    """One deployment, frozen. Each field has a variable SOUNDLAKE_<NAME>; each group has its own prefix."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_")

    home: Path = Field(
        default_factory=lambda: user_data_path("soundlake"), description="broker, lake, warehouse and state of the embedded default"
    )
    broker: str = Field("", description="event log; default: an SQLite file under home")
    lake: str = Field("", description="bucket or folder of the lake; default: a folder under home")
    warehouse: str = Field("", description="where dbt builds; default: DuckDB under home")
    cache: SecretStr = Field(SecretStr(""), description="live metrics and current state; default: this process's memory")
    log_json: bool = Field(default=False, description="logs are JSON, one object a line")

    topics: TopicSettings
    bronze: BronzeSettings
    sink: SinkSettings
    transform: TransformSettings
    stream: StreamSettings
    servers: ServerSettings
    metrics: MetricsSettings
    kafka: KafkaSettings
    registry: SchemaRegistrySettings
    s3: S3Settings
    google: GoogleSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Groups are read last, from the same files; a group given by name overrides single fields of it."""
        return init_settings, env_settings, dotenv_settings, file_secret_settings, _GroupSource(settings_cls, dotenv_settings)

    def change(self, **changes: object) -> Settings:
        """A copy with other values, not checked again; a group is changed by a mapping of its fields, `sink={"max_seconds": 15.0}`."""
        return self.model_copy(
            update={
                name: getattr(self, name).model_copy(update=value) if isinstance(value, dict) else value for name, value in changes.items()
            }
        )

    @property
    def home_folder(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().absolute()

    @property
    def broker_address(self) -> Address:
        """The event log."""
        return parse_address("broker", self.broker or f"sqlite://{self.home_folder / 'broker.db'}", ("sqlite", "memory", "kafka"))

    @property
    def lake_address(self) -> Address:
        """The lake."""
        return parse_address("lake", self.lake or f"file://{self.home_folder / 'lake'}", ("file", "s3", "gs"))

    @property
    def warehouse_address(self) -> Address:
        """The warehouse; `path` is the folder that holds build.duckdb and snapshots/."""
        return parse_address("warehouse", self.warehouse or f"duckdb://{self.home_folder / 'warehouse'}", ("duckdb", "snowflake"))

    @property
    def cache_address(self) -> Address:
        """The cache; its `url` may hold a password."""
        return parse_address("cache", self.cache.get_secret_value() or "memory://", ("memory", "redis", "rediss"))

    @property
    def kafka_access(self) -> KafkaAccess:
        """The Kafka cluster of `broker_address`, with our credentials."""
        return self.kafka.access(self.broker_address)

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs needs to reach the lake; empty for a local folder. Holds secrets in clear text: never log it."""
        return find_storage_options(self.lake_address, self.s3, self.google)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret in clear text, for redaction."""
        return tuple(_find_secrets(self))

    @property
    def child_environment(self) -> dict[str, str]:
        """The environment of a child process with the same settings: this process's, with home and dashboard port made explicit."""
        explicit = {"SOUNDLAKE_HOME": str(self.home_folder.resolve()), "SOUNDLAKE_DASHBOARD_PORT": str(self.servers.dashboard_port)}
        return {**os.environ, **explicit}


def list_groups(settings: type[Settings] = Settings) -> dict[str, type[SettingsGroup]]:
    """The groups by the name of their field."""
    fields = {name: field.annotation for name, field in settings.model_fields.items()}
    return {name: kind for name, kind in fields.items() if isinstance(kind, type) and issubclass(kind, SettingsGroup)}


class _GroupSource(PydanticBaseSettingsSource):
    """Reads each group from the environment and from the files that the whole is read from."""

    def __init__(self, settings_cls: type[BaseSettings], files: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        assert isinstance(files, DotEnvSettingsSource)
        self._files = files.env_file

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # the base class's signature
        """Not used: a group is read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The groups as mappings, so that a group given by name is merged into what was read."""
        assert issubclass(self.settings_cls, Settings)
        return {name: group(_env_file=self._files).model_dump() for name, group in list_groups(self.settings_cls).items()}


def _find_secrets(group: SettingsGroup) -> Iterator[str]:
    for name in type(group).model_fields:
        value = getattr(group, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, SettingsGroup):
            yield from _find_secrets(value)
