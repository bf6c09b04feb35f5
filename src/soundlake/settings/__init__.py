"""All settings of a deployment, read once at the edge from the environment and `.env`. Nothing else reads the environment."""

from soundlake.settings.addresses import Address, parse_address
from soundlake.settings.deployment import Settings
from soundlake.settings.groups import (
    BronzeSettings,
    MetricsSettings,
    ServerSettings,
    SinkSettings,
    StreamSettings,
    TopicSettings,
    TransformSettings,
)
from soundlake.settings.kafka import KafkaAccess, KafkaSettings
from soundlake.settings.loading import (
    HOME_SETTINGS,
    apply_variables,
    extend_environment,
    list_variables,
    load_settings,
    locate_variable,
    set_variable,
)
from soundlake.settings.object_store import GoogleSettings, S3Settings
from soundlake.settings.schema_registry import PublishFormat, SchemaRegistryAccess, SchemaRegistrySettings

__all__ = [
    "HOME_SETTINGS",
    "Address",
    "BronzeSettings",
    "GoogleSettings",
    "KafkaAccess",
    "KafkaSettings",
    "MetricsSettings",
    "PublishFormat",
    "S3Settings",
    "SchemaRegistryAccess",
    "SchemaRegistrySettings",
    "ServerSettings",
    "Settings",
    "SinkSettings",
    "StreamSettings",
    "TopicSettings",
    "TransformSettings",
    "apply_variables",
    "extend_environment",
    "list_variables",
    "load_settings",
    "locate_variable",
    "parse_address",
    "set_variable",
]
