"""The query `live`: plays, skips, listeners, devices, countries and tracks of this minute → the store of live metrics.

It keeps no state and needs no commit: the store counts each event once, so a repeated batch changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from soundlake.cache.live_metrics import COUNT_OF_TYPE, HORIZON_SECONDS, LIVE_SCHEMA
from soundlake.cache.protocol import LiveStore
from soundlake.contract.expressions import ELAPSED_MS, IS_LISTEN
from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE
from soundlake.retries import retry_policy
from soundlake.settings import SchemaRegistryAccess
from soundlake.streaming.decoding import decode, stream_records
from soundlake.streaming.deployment import StreamLimits, StreamLocations
from soundlake.streaming.transforms import apply_rules, normalize

NAME = "live"
TOPICS = tuple(LIVE_TOPIC_OF_TYPE[event_type].name for event_type in COUNT_OF_TYPE)
"""Imports are not current, and `now_playing` events are not finished plays."""

_ATTEMPTS = 30
"""About a minute for a store that refuses connections, several for one that accepts them and does not answer."""
_SPARE_SECONDS = 60
"""Tolerated difference between the clocks of log and job."""

OpenLiveStore = Callable[[], LiveStore]
"""Opens the store in the process that calls it; it is sent to the workers."""


def stream_live(session: SparkSession, locations: StreamLocations, limits: StreamLimits) -> DataFrame:
    """The events that live metrics count; without a checkpoint from the horizon on."""
    since_ms = int(datetime.now(UTC).timestamp() - HORIZON_SECONDS) * 1_000
    records = stream_records(session, locations.kafka, TOPICS, max_records=limits.max_records, tasks=limits.tasks, since_ms=since_ms)
    return select_countable(drop_expired(records), locations.registry)


def drop_expired(records: DataFrame) -> DataFrame:
    """Drop records that can no longer count, before they are decoded.

    A record logged at T counts only if its event ended by T + horizon, and only if that is not before now - horizon.
    """
    return records.where(f.col("timestamp") >= f.expr(f"current_timestamp() - interval {2 * HORIZON_SECONDS + _SPARE_SECONDS} seconds"))


def select_countable(records: DataFrame, registry: SchemaRegistryAccess | None = None) -> DataFrame:
    """From records to what the store counts (LIVE_SCHEMA): valid events, normalized; the store recognises repeats."""
    good = normalize(apply_rules(decode(records, registry)).where(f.col("reason").isNull()))
    measured = good.withColumns(
        {
            "ended_ms": f.expr(f"unix_millis(played_at) + {ELAPSED_MS}"),
            "is_listen": f.when(f.col("event_type") == "play", f.expr(IS_LISTEN)),
        }
    )
    return measured.select(*LIVE_SCHEMA.names)


def record_live(events: DataFrame, open_store: OpenLiveStore, attempts: int = _ATTEMPTS) -> DataFrame:
    """Write events (LIVE_SCHEMA) to the store from the workers that decoded them; returns one row a batch of Arrow's, with its count.

    A store that is briefly unavailable is retried, since a query that ends stops the others of its session too. It is part of the
    query's own plan: a foreachBatch would be planned again every second.
    """

    def record(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        store = open_store()
        retry = retry_policy(first_wait_seconds=0.25, longest_wait_seconds=5, stop=attempts)  # made here: it cannot be pickled
        for part in parts:
            retry(_record_now, store, pa.Table.from_batches([part]).cast(LIVE_SCHEMA))
            yield pa.RecordBatch.from_pydict({"events": [part.num_rows]})

    return events.mapInArrow(record, "events BIGINT")


def _record_now(store: LiveStore, events: pa.Table) -> None:
    store.record(events, datetime.now(UTC))
