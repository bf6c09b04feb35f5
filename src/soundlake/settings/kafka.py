"""How a Kafka cluster is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from soundlake.settings.addresses import Address
from soundlake.settings.groups import SettingsGroup


@dataclass(frozen=True)
class KafkaAccess:
    """How a Kafka cluster is reached: `servers` as `host:port,…`; an empty `ca_file` means the system's certificate authorities."""

    servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    ca_file: str = ""


class KafkaSettings(SettingsGroup):
    """Security of the connection to Kafka; the default has none, as a local broker."""

    model_config = SettingsConfigDict(env_prefix="SOUNDLAKE_KAFKA_")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str = Field("", description="user name, or the API key of Confluent Cloud")
    password: SecretStr = Field(SecretStr(""), description="password, or the API secret of Confluent Cloud")
    ca_file: str = Field("", description="certificate authorities to trust instead of the system's, as a PEM file")

    def access(self, address: Address) -> KafkaAccess:
        """The access to the cluster at a `kafka://` address."""
        servers = address.url.removeprefix("kafka://").rstrip("/")
        return KafkaAccess(servers, self.security_protocol, self.sasl_mechanism, self.username, self.password, self.ca_file)
