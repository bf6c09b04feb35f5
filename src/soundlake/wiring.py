"""The composition root: the only place that turns settings into clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundlake.errors import SettingsError

if TYPE_CHECKING:
    from soundlake.broker import Broker, Publisher
    from soundlake.lake import Lake
    from soundlake.operations.importing import Importer
    from soundlake.operations.progress import Reporter
    from soundlake.settings import Settings
    from soundlake.sink import Sink
    from soundlake.warehouse import Warehouse


def open_broker(settings: Settings) -> Broker:
    """The event log of this deployment, with its topics made."""
    from soundlake.broker.embedded import EmbeddedBroker
    from soundlake.contract import TOPICS

    address = settings.broker_address
    if address.scheme != "sqlite" or address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_BROKER={address.scheme}://…: this version carries events by sqlite:// only",
            next_step="leave it empty for the embedded log",
        )
    broker = EmbeddedBroker(address.path)
    broker.create_topics(TOPICS, partitions=settings.topic_partitions)
    return broker


def open_lake(settings: Settings) -> Lake:
    """The lake of this deployment, with its bronze tables made."""
    from soundlake.lake import Lake

    lake = Lake(settings.lake_address, settings.storage_options)
    lake.ensure_tables()
    return lake


def open_publisher(broker: Broker) -> Publisher:
    """The way into the event log, with the clock of this machine."""
    from soundlake.broker.publisher import Publisher

    return Publisher(broker)


def build_sink(settings: Settings, broker: Broker, lake: Lake) -> Sink:
    """The road from the log to bronze."""
    from soundlake.sink import Sink, SinkLimits

    limits = SinkLimits(max_events=settings.sink_max_events, max_bytes=settings.sink_max_bytes, max_seconds=settings.sink_max_seconds)
    return Sink(broker, lake, limits)


@contextmanager
def open_importer(settings: Settings, reporter: Reporter) -> Iterator[Importer]:
    """The way in for files of history, with a sink of its own or by the one that runs."""
    from soundlake.operations.draining import Drain
    from soundlake.operations.importing import Importer
    from soundlake.operations.locks import IMPORT_LOCK, SINK_LOCK

    home = settings.home.expanduser().absolute()
    broker, lake = open_broker(settings), open_lake(settings)
    try:
        drain = Drain(broker, lake, lambda: build_sink(settings, broker, lake).run(until_drained=True), home / SINK_LOCK)
        yield Importer(lake, open_publisher(broker), drain, reporter=reporter, lock=home / IMPORT_LOCK)
    finally:
        broker.close()


def open_warehouse(settings: Settings, lake: Lake) -> Warehouse:
    """The warehouse that dbt builds from this lake."""
    from soundlake.warehouse import Warehouse

    address = settings.warehouse_address
    if address.scheme != "duckdb" or address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_WAREHOUSE={address.scheme}://…: this version builds on duckdb:// only",
            next_step="leave it empty for the embedded warehouse",
        )
    return Warehouse(address.path, lake, memory_limit=settings.duckdb_memory)
