"""How a schema registry is reached, and in which format events are published."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from soundlake.settings.groups import SettingsGroup


@dataclass(frozen=True)
class SchemaRegistryAccess:
    """How a schema registry is reached: `url` without user and password; an empty `ca_file` means the authorities that certifi knows."""

    url: str
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    ca_file: str = ""


class PublishFormat(StrEnum):
    """The format of published events: plain JSON, or framed with the id of a schema."""

    JSON = "json"
    CONFLUENT_JSON = "confluent-json"
    CONFLUENT_AVRO = "confluent-avro"


class SchemaRegistrySettings(SettingsGroup):
    """The schema registry, with Confluent's API; without an address, records that need one are rejected."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_SCHEMA_REGISTRY_")

    url: str = Field("", validation_alias="SOUNDLAKE_SCHEMA_REGISTRY", description="address of the registry; empty: none")
    username: str = Field("", description="user name, or the registry's API key of Confluent Cloud")
    password: SecretStr = Field(SecretStr(""), description="password, or the registry's API secret of Confluent Cloud")
    ca_file: str = Field("", description="certificate authorities to trust instead of certifi's, as a PEM file")
    publish: PublishFormat = Field(PublishFormat.JSON, description="format of published events: json, confluent-json, confluent-avro")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        """Raises ValueError for an address that is not http(s)://, or that holds a password: addresses are shown in logs."""
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("not the address of a registry: write https://host:port")
        if parts.username or parts.password:
            raise ValueError("set user and password in SOUNDLAKE_SCHEMA_REGISTRY_USERNAME and SOUNDLAKE_SCHEMA_REGISTRY_PASSWORD")
        return url.rstrip("/")

    @property
    def access(self) -> SchemaRegistryAccess | None:
        """The registry; None if there is none."""
        return SchemaRegistryAccess(self.url, self.username, self.password, self.ca_file) if self.url else None
