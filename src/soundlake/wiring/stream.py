"""The Spark job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from soundlake.errors import SettingsError
from soundlake.wiring.schema_registry import find_decoder
from soundlake.wiring.systems import make_lake, open_kafka

if TYPE_CHECKING:
    from soundlake.settings import Settings
    from soundlake.streaming.job import StreamJob
    from soundlake.telemetry import Telemetry


@contextmanager
def open_stream(settings: Settings, queries: Sequence[str], telemetry: Telemetry | None = None) -> Iterator[StreamJob]:
    """The Spark job for these queries, with a session of its own. Raises SettingsError if the settings do not allow it."""
    from soundlake.operations.servers.jars import SPARK_JARS, install_jars
    from soundlake.operations.servers.programs import find_spark_java

    if settings.broker_address.scheme != "kafka":
        raise SettingsError("SOUNDLAKE_BROKER: Spark reads from Kafka only", next_step="name one: kafka://127.0.0.1:9092")
    if "live" in queries and settings.cache_address.scheme == "memory":
        raise SettingsError("SOUNDLAKE_CACHE is not set: live metrics need Redis", next_step="name one, or leave the query live out")
    try:
        from soundlake.streaming.job import READS, StreamJob
        from soundlake.streaming.progress import discard_progress
        from soundlake.streaming.session import make_scratch, open_session
    except ModuleNotFoundError as cause:
        raise SettingsError("Spark is not installed", next_step="run `make setup`") from cause
    from soundlake.cache.redis_store import open_redis_store
    from soundlake.contract.topics import NOW_PLAYING_ENRICHED, TOPICS
    from soundlake.streaming.deployment import SUBMITTED, find_limits, find_locations, plan_cluster
    from soundlake.streaming.startup_checks import check_storage

    check_storage(settings, queries)
    find_decoder(settings)  # raises what the workers would raise
    if "live" in queries:
        open_redis_store(settings.cache_address.url).read(datetime.now(UTC))
    with closing(open_kafka(settings)) as broker:
        broker.create_topics([NOW_PLAYING_ENRICHED], partitions=settings.topics.partitions)
        log_ids = {topic.name: broker.log_id(topic.name) for topic in TOPICS}
        for name in sorted({topic for query in queries for topic in READS[query]}):
            broker.check_deletes_by_age(name)  # Spark would read a compacted topic, without what is gone
    jars = settings.servers.downloads.expanduser().absolute() / "spark"
    if settings.stream.master != SUBMITTED:
        find_spark_java()
        install_jars(SPARK_JARS, jars)
    reads = {name: READS[name] for name in queries}
    observe = telemetry.watch_queries(reads).record_progress if telemetry is not None else discard_progress
    with make_scratch(settings.home_folder / "stream" / "scratch") as scratch:
        session = open_session(plan_cluster(settings, jars, scratch, queries))
        try:
            open_store = partial(open_redis_store, settings.cache_address.url)
            locations, limits, lake = find_locations(settings, log_ids), find_limits(settings), make_lake(settings)
            yield StreamJob(session, locations, limits, open_store, observe, begin_write=lake.begin_write)
        finally:
            session.stop()
