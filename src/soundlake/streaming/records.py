"""Records of the log as a frame: topic, partition, offset, timestamp, key, value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession

RECORD_DDL = "topic STRING, partition INT, offset BIGINT, timestamp TIMESTAMP, key BINARY, value BINARY"
"""What every source of records gives; `timestamp` is the record's own time in the log."""

_COLUMNS = ("topic", "partition", "offset", "timestamp", "key", "value")


def stream_records(
    session: SparkSession,
    kafka: Mapping[str, str],
    topics: Sequence[str],
    *,
    max_records: int | None = None,
    tasks: int = 0,
    since_ms: int | None = None,
) -> DataFrame:
    """The records of these topics as they come, from the checkpoint's position on; the first time from the beginning, or from a moment.

    With `tasks` so many tasks share the partitions: 24 with a few records each would be 24 tasks, most of it waste on a small machine.
    What the log no longer holds although it was not read yet stops the query: nothing is skipped in silence.
    """
    reader = session.readStream.format("kafka").options(**kafka).option("subscribe", ",".join(topics)).option("failOnDataLoss", "true")
    if since_ms is None:
        reader = reader.option("startingOffsets", "earliest")
    else:
        reader = reader.option("startingTimestamp", str(since_ms)).option("startingOffsetsByTimestampStrategy", "latest")
    if max_records is not None:
        reader = reader.option("maxOffsetsPerTrigger", str(max_records))
    records = reader.load().select(*_COLUMNS)
    return records.coalesce(tasks) if tasks else records
