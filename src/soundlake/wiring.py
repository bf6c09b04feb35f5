"""The composition root: the only place that turns settings into clients."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from soundlake.errors import SettingsError

if TYPE_CHECKING:
    from soundlake.broker import Broker, Publisher
    from soundlake.broker.kafka import KafkaBroker
    from soundlake.broker.protocol import Membership
    from soundlake.importing import Importer
    from soundlake.importing.log_drain import LogDrain
    from soundlake.lake import Lake
    from soundlake.operations.dead_letters import Replayer
    from soundlake.operations.demo import Demo
    from soundlake.operations.generator_feed import GeneratorFeed
    from soundlake.operations.generator_state import GeneratorOptions
    from soundlake.operations.stack.status import Status
    from soundlake.operations.upkeep import Upkeep
    from soundlake.progress import Reporter
    from soundlake.reconciliation import CheckReport
    from soundlake.settings import Settings
    from soundlake.sink import Sink
    from soundlake.streaming.job import StreamJob
    from soundlake.telemetry import Telemetry
    from soundlake.warehouse import Warehouse

_BULK_SECONDS = 15.0  # what is imported waits this long for a batch to fill: large batches make few files


def open_broker(settings: Settings) -> Broker:
    """The event log of this deployment; the embedded one with its topics made, Kafka's are made by `soundlake topics create`."""
    from soundlake.contract import TOPICS

    address = settings.broker_address
    if address.scheme == "kafka":
        return open_kafka(settings)
    if address.scheme != "sqlite" or address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_BROKER={address.scheme}://…: a log in memory is for tests, no process could read what another one writes",
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


def prepare_stack(settings: Settings) -> None:
    """Make what all services of a stack share, before any of them starts: topics and bronze tables."""
    from soundlake.contract import TOPICS
    from soundlake.contract.topics import DLQ

    with closing(open_broker(settings)) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=settings.topics.partitions)
    open_lake(settings)


def look_at_services(settings: Settings) -> Status:
    """How everything in the home of these settings is. Raises SettingsError if an address makes no sense."""
    from soundlake.lake import Lake
    from soundlake.operations.stack.probes import make_probes
    from soundlake.operations.stack.status import look
    from soundlake.warehouse import read_current_id

    home = settings.home_folder
    warehouse = settings.warehouse_address.path or home
    lake = Lake(settings.lake_address, settings.storage_options)
    return look(home, read_current_id(warehouse), make_probes(home, lambda: open_broker(settings), lambda: lake, warehouse))


def open_lake(settings: Settings) -> Lake:
    """The lake of this deployment, with its bronze tables made."""
    from soundlake.lake import Lake

    lake = Lake(settings.lake_address, settings.storage_options)
    lake.ensure_tables()
    return lake


def open_publisher(broker: Broker, telemetry: Telemetry | None = None) -> Publisher:
    """The way into the event log, with the clock of this machine."""
    from soundlake.broker.publisher import Publisher

    return Publisher(broker) if telemetry is None else Publisher(broker, observe=telemetry.watch_publisher().published)


def build_sink(settings: Settings, broker: Broker, lake: Lake, telemetry: Telemetry | None = None) -> Sink:
    """The road from the log to bronze. On Kafka it shares the partitions with the sinks of other homes."""
    from soundlake.sink import Sink, SinkLimits
    from soundlake.sink.memory import allocate_with_jemalloc

    allocate_with_jemalloc()
    limits = SinkLimits(max_events=settings.sink.max_events, max_bytes=settings.sink.max_bytes, max_seconds=settings.sink.max_seconds)
    observer = None if telemetry is None else telemetry.watch_sink()
    return Sink(broker, lake, limits, observer=observer, join=_find_group(settings, broker))


def _find_group(settings: Settings, broker: Broker) -> Callable[[], Membership] | None:
    """How a sink joins those of other homes; the embedded log has no groups."""
    if settings.broker_address.scheme != "kafka":
        return None
    from soundlake.broker.kafka import KafkaBroker
    from soundlake.contract import TOPICS
    from soundlake.sink.membership import CONSUMER_GROUP

    assert isinstance(broker, KafkaBroker)
    home = hashlib.sha256(str(settings.home_folder).encode()).hexdigest()
    return partial(broker.join, CONSUMER_GROUP, f"{socket.gethostname()}-{home[:12]}", TOPICS)


def build_log_drain(settings: Settings, broker: Broker, lake: Lake) -> LogDrain:
    """What stores in bulk: a sink of our own, or patience with the one that runs."""
    from soundlake.importing.log_drain import LogDrain
    from soundlake.sink.models import SINK_LOCK

    sink = build_sink(settings.change(sink={"max_seconds": _BULK_SECONDS}), broker, lake)
    return LogDrain(
        broker, lake, lambda stop: sink.run(stop=stop, until_drained=stop is None), settings.home_folder / SINK_LOCK
    )


@contextmanager
def open_importer(settings: Settings, reporter: Reporter) -> Iterator[Importer]:
    """The way in for files of history, with a sink of its own or by the one that runs."""
    from soundlake.importing import IMPORT_LOCK, Importer

    broker, lake = open_broker(settings), open_lake(settings)
    try:
        lock = settings.home_folder / IMPORT_LOCK
        yield Importer(lake, open_publisher(broker), build_log_drain(settings, broker, lake), reporter=reporter, lock=lock)
    finally:
        broker.close()


@contextmanager
def open_replayer(settings: Settings, reporter: Reporter) -> Iterator[Replayer]:
    """Publishes rejected records again."""
    from soundlake.operations.dead_letters.replayer import IN_FLIGHT_SECONDS, Replayer

    in_flight_seconds = IN_FLIGHT_SECONDS if settings.broker_address.scheme == "kafka" else 0.0
    with closing(open_broker(settings)) as broker:
        yield Replayer(broker, open_lake(settings), settings.home_folder, reporter, in_flight_seconds=in_flight_seconds)


@contextmanager
def open_upkeep(settings: Settings, telemetry: Telemetry | None = None, *, vacuum_hours: int = 24) -> Iterator[Upkeep]:
    """What has to be done beside the sink; only the embedded log is trimmed by us."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.operations.upkeep import Upkeep

    days, hours = settings.bronze.retention_days, settings.topics.retention_hours
    with ExitStack() as stack:
        log = stack.enter_context(closing(open_broker(settings))) if settings.broker_address.scheme == "sqlite" else None
        yield Upkeep(
            open_lake(settings),
            read_utc_now,
            log=log,
            log_retention=timedelta(hours=hours),
            row_retention=timedelta(days=days) if days else None,
            vacuum_hours=vacuum_hours,
            metrics=None if telemetry is None else telemetry.watch_upkeep(),
        )


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
    return Warehouse(address.path, lake, memory_limit=settings.transform.duckdb_memory, observer=observer)


@contextmanager
def open_demo(settings: Settings, options: GeneratorOptions) -> Iterator[Demo]:
    """The demo in the home of these settings, new or as it was left. Raises UsageError if the options contradict what is there."""
    from soundlake.operations.demo import Demo
    from soundlake.operations.generator_state import load_state

    settings.home.mkdir(parents=True, exist_ok=True)
    state = load_state(settings.home)
    if state is None:
        state = options.begin(datetime.now(UTC).date())
    options.check(state, settings.home)
    broker, lake = open_broker(settings), open_lake(settings)
    with closing(broker), open_warehouse(settings, lake) as warehouse:
        yield Demo(
            settings.home,
            state,
            publisher=open_publisher(broker),
            drain=build_log_drain(settings, broker, lake),
            warehouse=warehouse,
            import_person=None if options.export is None else partial(_import_person, settings, options),
        )


@contextmanager
def open_feed(settings: Settings, options: GeneratorOptions, telemetry: Telemetry | None = None) -> Iterator[GeneratorFeed]:
    """The made-up world of a full stack, new or as far as it was told. Raises UsageError if the options contradict what is there."""
    from soundlake.operations.generator_feed import FIRST_DAYS, GeneratorFeed
    from soundlake.operations.generator_state import load_state

    settings.home.mkdir(parents=True, exist_ok=True)
    state = load_state(settings.home)
    if state is None:
        state = replace(options, days=FIRST_DAYS if options.days is None else options.days).begin(datetime.now(UTC).date())
    options.check(state, settings.home)
    with closing(open_broker(settings)) as broker:
        yield GeneratorFeed(settings.home, state, open_publisher(broker, telemetry))


@contextmanager
def open_stream(settings: Settings, queries: Sequence[str], telemetry: Telemetry | None = None) -> Iterator[StreamJob]:
    """The Spark job with a session of its own, for these queries. Raises SettingsError if they cannot run on these settings."""
    from soundlake.operations.servers.jars import SPARK_JARS, install_jars
    from soundlake.operations.servers.programs import find_spark_java

    if settings.broker_address.scheme != "kafka":
        raise SettingsError("SOUNDLAKE_BROKER: Spark reads from Kafka only", next_step="name one: kafka://127.0.0.1:9092")
    if "live" in queries and settings.cache_address.scheme == "memory":
        raise SettingsError("SOUNDLAKE_CACHE is not set: live metrics need Redis", next_step="name one, or leave the query live out")
    try:
        from soundlake.streaming.job import READS, StreamJob
        from soundlake.streaming.progress import ignore_progress
        from soundlake.streaming.session import make_scratch, open_session
    except ModuleNotFoundError as cause:
        raise SettingsError("Spark is not installed", next_step="run `make setup`") from cause
    from soundlake.cache.redis_store import open_redis_store
    from soundlake.contract.topics import NOW_PLAYING_ENRICHED, TOPICS
    from soundlake.streaming.deployment import SUBMITTED, choose_cluster, find_limits, find_road
    from soundlake.streaming.preflight import check_storage

    check_storage(settings, queries)
    if "live" in queries:
        open_redis_store(settings.cache_address.url).read(datetime.now(UTC))
    with closing(open_kafka(settings)) as broker:
        broker.create_topics([NOW_PLAYING_ENRICHED], partitions=settings.topics.partitions)
        log_ids = {topic.name: broker.log_id(topic.name) for topic in TOPICS}
    jars = settings.servers.downloads.expanduser().absolute() / "spark"
    if settings.stream.master != SUBMITTED:
        find_spark_java()
        install_jars(SPARK_JARS, jars)
    reads = {name: READS[name] for name in queries}
    observe = telemetry.watch_queries(reads).progressed if telemetry is not None else ignore_progress
    with make_scratch(settings.home_folder / "stream" / "scratch") as scratch:
        session = open_session(choose_cluster(settings, jars, scratch, queries))
        try:
            open_store = partial(open_redis_store, settings.cache_address.url)
            yield StreamJob(session, find_road(settings, log_ids), find_limits(settings), open_store, observe)
        finally:
            session.stop()


def _import_person(settings: Settings, options: GeneratorOptions, reporter: Reporter) -> dict[str, Any]:
    assert options.export is not None
    with open_importer(settings, reporter) as importer:
        return importer.import_spotify_exports([options.export], options.user).as_json()


def check_everything(settings: Settings, reporter: Reporter) -> CheckReport:
    """One look at log, lake and warehouse. Raises Unavailable if nothing was built yet."""
    from soundlake.reconciliation import run_checks

    warehouse = settings.warehouse_address.path
    if warehouse is None:
        raise SettingsError("SOUNDLAKE_WAREHOUSE: only duckdb:// can be checked", next_step="leave it empty for the embedded warehouse")
    with closing(open_broker(settings)) as broker:
        return run_checks(broker, open_lake(settings), warehouse, datetime.now(UTC), reporter)
