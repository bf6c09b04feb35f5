"""The sink, and the bulk load of what the log holds."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from soundlake.wiring.schema_registry import find_decoder

if TYPE_CHECKING:
    from soundlake.broker import Broker
    from soundlake.broker.protocol import Membership
    from soundlake.importing.log_drain import LogDrain
    from soundlake.lake import Lake
    from soundlake.settings import Settings
    from soundlake.sink import Sink
    from soundlake.telemetry import Telemetry

_BULK_SECONDS = 15.0  # age of a batch in a bulk load: large batches make few files


def build_sink(settings: Settings, broker: Broker, lake: Lake, telemetry: Telemetry | None = None) -> Sink:
    """The sink from the log to bronze. On Kafka it shares the partitions with the sinks of other homes."""
    from soundlake.sink import Sink, SinkLimits

    allocate_with_jemalloc()
    limits = SinkLimits(max_events=settings.sink.max_events, max_bytes=settings.sink.max_bytes, max_seconds=settings.sink.max_seconds)
    observer = None if telemetry is None else telemetry.watch_sink()
    inspect_log = partial(_inspect_topics, settings, broker)
    join, decode = _find_group(settings, broker), find_decoder(settings)
    return Sink(broker, lake, limits, observer=observer, join=join, inspect_log=inspect_log, decode=decode)


def allocate_with_jemalloc() -> None:
    """Make Arrow allocate with jemalloc in this process, where Arrow was built with it.

    jemalloc keeps freed memory for seconds. Arrow's default (mimalloc) returns it within milliseconds, and the next batch of about the
    same size requests it from the kernel again: a fifth of the processor time from Kafka to bronze (bench/kafka.py).
    """
    import pyarrow as pa

    with suppress(NotImplementedError):
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def build_log_drain(settings: Settings, broker: Broker, lake: Lake) -> LogDrain:
    """Stores what the log holds: by a sink of its own, or by waiting for the one that runs."""
    from soundlake.importing.log_drain import LogDrain
    from soundlake.sink.models import SINK_LOCK

    sink = build_sink(settings.change(sink={"max_seconds": _BULK_SECONDS}), broker, lake)
    return LogDrain(broker, lake, lambda stop: sink.run(stop=stop, until_drained=stop is None), settings.home_folder / SINK_LOCK)


def _inspect_topics(settings: Settings, broker: Broker) -> None:
    """Warn of topics of a Kafka cluster whose records do not carry the broker's time."""
    if settings.broker_address.scheme != "kafka":
        return
    from soundlake.broker.kafka import KafkaBroker, TopicPlan
    from soundlake.operations.stack import warn_of_producer_clocks

    assert isinstance(broker, KafkaBroker)
    plan = TopicPlan(settings.topics.partitions, settings.topics.retention_ms)
    warn_of_producer_clocks(broker, plan, settings.kafka_access.servers)


def _find_group(settings: Settings, broker: Broker) -> Callable[[], Membership] | None:
    """How a sink joins the consumer group; None for the embedded log, which has no groups."""
    if settings.broker_address.scheme != "kafka":
        return None
    from soundlake.broker.kafka import KafkaBroker
    from soundlake.contract import TOPICS
    from soundlake.sink.membership import CONSUMER_GROUP

    assert isinstance(broker, KafkaBroker)
    home = hashlib.sha256(str(settings.home_folder).encode()).hexdigest()
    return partial(broker.join, CONSUMER_GROUP, f"{socket.gethostname()}-{home[:12]}", TOPICS)
