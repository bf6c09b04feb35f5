"""How records are decoded and events encoded: plainly, or by the schemas of a registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundlake.errors import SettingsError

if TYPE_CHECKING:
    from soundlake.broker.publisher import Encode
    from soundlake.contract.framed_records import Decode
    from soundlake.settings import Settings


def find_decoder(settings: Settings) -> Decode:
    """The decoder of the log's records; framed ones need a registry. Raises SettingsError if its client is not installed."""
    from soundlake.contract import FramedDecoder, decode_records

    access = settings.registry.access
    if access is None:
        return decode_records
    with _name_missing_client():
        from soundlake.broker.kafka.registry_connection import RegistryConnection
        from soundlake.broker.kafka.schema_registry import SchemaRegistry

    return FramedDecoder(SchemaRegistry(RegistryConnection(access))).decode


def find_encoder(settings: Settings) -> Encode:
    """The encoder of published events. Raises SettingsError for a format that needs a registry, and none is set or installed."""
    from soundlake.broker.publisher import encode_plainly
    from soundlake.settings import PublishFormat

    chosen, access = settings.registry.publish, settings.registry.access
    if chosen is PublishFormat.JSON:
        return encode_plainly
    if access is None:
        raise SettingsError(
            f"SOUNDLAKE_SCHEMA_REGISTRY_PUBLISH={chosen}: no registry is set", next_step="set SOUNDLAKE_SCHEMA_REGISTRY to its address"
        )
    with _name_missing_client():
        from soundlake.broker.kafka.event_framer import AvroFramer, JsonFramer
        from soundlake.broker.kafka.registry_connection import RegistryConnection

    connection = RegistryConnection(access)
    if chosen is PublishFormat.CONFLUENT_JSON:
        return JsonFramer(connection).encode
    return AvroFramer(connection).encode


@contextmanager
def _name_missing_client() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as cause:
        raise SettingsError(
            f"SOUNDLAKE_SCHEMA_REGISTRY: the registry's client is not installed ({cause.name} is missing)",
            next_step="install the extra: pip install 'soundlake[kafka]', or run `make setup`",
        ) from cause
