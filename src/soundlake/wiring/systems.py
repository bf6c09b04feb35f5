"""The systems of a deployment: event log, publisher, lake, warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundlake.errors import SettingsError
from soundlake.wiring.schema_registry import find_encoder

if TYPE_CHECKING:
    from soundlake.broker import Broker, Publisher
    from soundlake.broker.kafka import KafkaBroker
    from soundlake.lake import Lake
    from soundlake.settings import Settings
    from soundlake.telemetry import Telemetry
    from soundlake.warehouse import Warehouse


def open_broker(settings: Settings) -> Broker:
    """The event log of this deployment; the embedded one with its topics made, Kafka's are made by `soundlake topics create`."""
    from soundlake.contract import TOPICS

    address = settings.broker_address
    if address.scheme == "kafka":
        return open_kafka(settings)
    if address.scheme != "sqlite" or address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_BROKER={address.scheme}://…: a log in memory is for tests; no other process can read it",
            next_step="leave it empty for the embedded log",
        )
    from soundlake.broker.embedded import EmbeddedBroker

    broker = EmbeddedBroker(address.path)
    broker.create_topics(TOPICS, partitions=settings.topics.partitions)
    return broker


def open_kafka(settings: Settings) -> KafkaBroker:
    """The Kafka cluster of this deployment. Raises SettingsError if its client is not installed."""
    try:
        from soundlake.broker.kafka import KafkaBroker
    except ModuleNotFoundError as cause:
        raise SettingsError("SOUNDLAKE_BROKER=kafka://…: Kafka's client is not installed", next_step="run `make setup`") from cause
    return KafkaBroker(settings.kafka_access, retention_ms=settings.topics.retention_ms)


def open_publisher(settings: Settings, broker: Broker, telemetry: Telemetry | None = None) -> Publisher:
    """The publisher to the event log, with the clock of this machine and the format of the settings."""
    from soundlake.broker.publisher import Publisher, ignore_report

    observe = ignore_report if telemetry is None else telemetry.watch_publisher().record_publish
    return Publisher(broker, observe=observe, encode=find_encoder(settings))


def open_lake(settings: Settings) -> Lake:
    """The lake of this deployment; creates the bronze tables that are missing."""
    lake = make_lake(settings)
    lake.ensure_tables()
    return lake


def make_lake(settings: Settings) -> Lake:
    """The lake of this deployment as it is."""
    from soundlake.lake import Lake

    return Lake(settings.lake_address, settings.storage_options, lock_folder=settings.home_folder)


def open_warehouse(settings: Settings, lake: Lake, telemetry: Telemetry | None = None) -> Warehouse:
    """The warehouse that dbt builds from this lake."""
    from soundlake.warehouse import Warehouse

    address = settings.warehouse_address
    if address.scheme != "duckdb" or address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_WAREHOUSE={address.scheme}://…: this version builds on duckdb:// only",
            next_step="leave it empty for the embedded warehouse",
        )
    observer = None if telemetry is None else telemetry.watch_builds()
    return Warehouse(
        address.path,
        lake,
        memory_limit=settings.transform.duckdb_memory,
        models_from_spotify_api=settings.spotify.feeds_models,
        observer=observer,
    )
