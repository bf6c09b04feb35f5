"""Records of the log as a frame, decoded by the contract's own decoder: the sink and Spark share one definition of what decodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from soundlake.contract.decode import Decoded, decode_records
from soundlake.contract.framed_records import Decode, FramedDecoder
from soundlake.contract.schemas import EVENT_SCHEMA, build_spark_ddl
from soundlake.contract.topics import TOPIC_BY_NAME
from soundlake.retries import retry_policy
from soundlake.settings import SchemaRegistryAccess

RECORD_DDL = "topic STRING, partition INT, offset BIGINT, timestamp TIMESTAMP, key BINARY, value BINARY"
"""The columns of every source of records; `timestamp` is the record's time in the log."""

_REGISTRY_ATTEMPTS = 30
"""About a minute for a schema registry that refuses connections, several for one that accepts them and does not answer."""

_RECORD_COLUMNS = [column.split()[0] for column in RECORD_DDL.split(", ")]


def stream_records(
    session: SparkSession,
    kafka: Mapping[str, str],
    topics: Sequence[str],
    *,
    max_records: int | None = None,
    tasks: int = 0,
    since_ms: int | None = None,
) -> DataFrame:
    """Stream the records of these topics from the checkpoint's position; without a checkpoint from the earliest offset, or from `since_ms`.

    `tasks` limits the tasks that share the partitions: 24 partitions with a few records each would be 24 tasks, most of them overhead on a
    small machine. An offset that the log no longer holds stops the query; nothing is skipped silently.
    """
    reader = session.readStream.format("kafka").options(**kafka).option("subscribe", ",".join(topics)).option("failOnDataLoss", "true")
    reader = reader.option("kafka.isolation.level", "read_committed")  # Spark's default delivers records of aborted transactions
    if since_ms is None:
        reader = reader.option("startingOffsets", "earliest")
    else:
        reader = reader.option("startingTimestamp", str(since_ms)).option("startingOffsetsByTimestampStrategy", "latest")
    if max_records is not None:
        reader = reader.option("maxOffsetsPerTrigger", str(max_records))
    records = reader.load().select(*_RECORD_COLUMNS)
    return records.coalesce(tasks) if tasks else records


_COORDINATES = pa.schema(
    [
        pa.field("_topic", pa.string()),
        pa.field("_partition", pa.int64()),
        pa.field("_offset", pa.int64()),
        pa.field("_logged_at", pa.timestamp("us", tz="UTC")),
        pa.field("_key", pa.binary()),
        pa.field("_value", pa.binary()),
    ]
)
_REJECTION = pa.schema([pa.field("reason", pa.string()), pa.field("detail", pa.string())])
_DECODED = pa.schema([*EVENT_SCHEMA, *_COORDINATES, *_REJECTION])

DECODED_DDL = (
    f"{build_spark_ddl()}, _topic STRING, _partition BIGINT, _offset BIGINT, _logged_at TIMESTAMP, _key BINARY, _value BINARY, "
    "reason STRING, detail STRING"
)
"""An event and the record it came in. A row with a `reason` is rejected, and of its event fields only `event_id` may be known."""


def decode(records: DataFrame, registry: SchemaRegistryAccess | None = None) -> DataFrame:
    """One row a record: an event, or the reason for its rejection (DECODED_DDL). Framed records need a registry."""

    def decode_in_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return decode_batches(batches, registry)

    return records.mapInArrow(decode_in_worker, DECODED_DDL)


def decode_batches(batches: Iterator[pa.RecordBatch], registry: SchemaRegistryAccess | None = None) -> Iterator[pa.RecordBatch]:
    """`decode` on Arrow batches, as it runs in the workers. Raises Unavailable for a registry that stays away: the query stops."""
    decode_topic = decode_records if registry is None else _open_framed_decoder(registry)
    for batch in batches:
        records = pa.table(batch)
        for name in pc.unique(records["topic"]).to_pylist():
            yield from _decode_topic(name, records.filter(pc.equal(records["topic"], name)), decode_topic).to_batches()


def _open_framed_decoder(registry: SchemaRegistryAccess) -> Decode:
    """The decoder of framed records, which waits for a registry that is briefly away: a query that ends stops the others."""
    from soundlake.broker.kafka.schema_registry import open_registry  # noqa: PLC0415  # only with a registry: Kafka's client is an extra

    retry = retry_policy(first_wait_seconds=0.25, longest_wait_seconds=5, stop=_REGISTRY_ATTEMPTS)
    return partial(retry, FramedDecoder(open_registry(registry)).decode)


def _decode_topic(name: str, records: pa.Table, decode_topic: Decode) -> pa.Table:
    values = records["value"].combine_chunks().cast(pa.binary())
    logged_at = records["timestamp"].combine_chunks().cast(pa.timestamp("us", tz="UTC"))
    decoded = decode_topic(TOPIC_BY_NAME[name], values, pc.divide(logged_at.cast(pa.int64()), 1_000))
    origins = pa.table(
        [records["topic"], records["partition"], records["offset"], logged_at, records["key"], values], names=_COORDINATES.names
    ).cast(_COORDINATES)
    return pa.concat_tables([_build_events(decoded, origins), _build_rejected(decoded, origins)])


def _build_events(decoded: Decoded, origins: pa.Table) -> pa.Table:
    origins = origins.take(pa.array(decoded.event_rows))
    nothing = [pa.nulls(len(origins), column.type) for column in _REJECTION]
    return pa.table([*decoded.events.columns, *origins.columns, *nothing], schema=_DECODED)


def _build_rejected(decoded: Decoded, origins: pa.Table) -> pa.Table:
    rejected = decoded.rejected
    fields = [rejected["event_id"] if column.name == "event_id" else pa.nulls(len(rejected), column.type) for column in EVENT_SCHEMA]
    return pa.table([*fields, *origins.take(rejected["row"]).columns, rejected["reason"], rejected["detail"]], schema=_DECODED)
