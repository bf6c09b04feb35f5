"""The query `live`: plays, skips, listeners, devices, countries and tracks of this minute → the store of live metrics.

It keeps no state of its own and waits for no commit: the store counts each event once, so a batch that is done again changes nothing.
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
from soundlake.streaming.decoding import decode
from soundlake.streaming.models import Road, StreamLimits
from soundlake.streaming.records import stream_records
from soundlake.streaming.transforms import judge, normalize

NAME = "live"
TOPICS = tuple(LIVE_TOPIC_OF_TYPE[event_type].name for event_type in COUNT_OF_TYPE)
"""What is imported is not of this minute, and who plays what now is not over."""

_ATTEMPTS = 30
"""About a minute for a store that refuses connections, several for one that accepts them and does not answer."""
_SPARE_SECONDS = 60
"""So far the clocks of log and job may differ."""

OpenLiveStore = Callable[[], LiveStore]
"""Opens the store in whatever process asks: it travels to the workers."""


def stream_live(session: SparkSession, road: Road, limits: StreamLimits) -> DataFrame:
    """What live metrics count, as it comes; the first time from the horizon on."""
    since_ms = int(datetime.now(UTC).timestamp() - HORIZON_SECONDS) * 1_000
    records = stream_records(session, road.kafka, TOPICS, max_records=limits.max_records, tasks=limits.tasks, since_ms=since_ms)
    return choose_countable(leave_out_past(records))


def leave_out_past(records: DataFrame) -> DataFrame:
    """Without the records of which none can count any more, before they are decoded.

    What was logged at T counts only if it was over by T + horizon, and now only if it was over since now - horizon.
    """
    return records.where(f.col("timestamp") >= f.expr(f"current_timestamp() - interval {2 * HORIZON_SECONDS + _SPARE_SECONDS} seconds"))


def choose_countable(records: DataFrame) -> DataFrame:
    """From records to what the store counts (LIVE_SCHEMA): the good events, normalized; repeats are the store's to know."""
    good = normalize(judge(decode(records)).where(f.col("reason").isNull()))
    measured = good.withColumns(
        {
            "ended_ms": f.expr(f"unix_millis(played_at) + {ELAPSED_MS}"),
            "is_listen": f.when(f.col("event_type") == "play", f.expr(IS_LISTEN)),
        }
    )
    return measured.select(*LIVE_SCHEMA.names)


def record_live(events: DataFrame, open_store: OpenLiveStore, attempts: int = _ATTEMPTS) -> DataFrame:
    """Hand events (LIVE_SCHEMA) to the store, from the workers that decoded them; how many, a row a batch of Arrow's.

    A store that is away for a moment is waited for: a query that ends ends the others of its session too. Part of the query's own plan:
    what is done for each batch beside it would be planned anew each second.
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
