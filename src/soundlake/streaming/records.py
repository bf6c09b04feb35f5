"""Records of the log as a frame: topic, partition, offset, timestamp, key, value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession

RECORD_DDL = "topic STRING, partition INT, offset BIGINT, timestamp TIMESTAMP, key BINARY, value BINARY"
"""What every source of records gives; `timestamp` is the record's own time in the log."""

_COLUMNS = ("topic", "partition", "offset", "timestamp", "key", "value")


def stream_records(
    session: SparkSession, kafka: Mapping[str, str], topics: Sequence[str], *, max_records: int, since_ms: int | None = None
) -> DataFrame:
    """The records of these topics as they come, from the checkpoint's position on; the first time from the beginning, or from a moment.

    What the log no longer holds although it was not read yet stops the query: nothing is skipped in silence.
    """
    reader = session.readStream.format("kafka").options(**kafka).option("subscribe", ",".join(topics)).option("failOnDataLoss", "true")
    if since_ms is None:
        reader = reader.option("startingOffsets", "earliest")
    else:
        reader = reader.option("startingTimestamp", str(since_ms)).option("startingOffsetsByTimestampStrategy", "latest")
    return reader.option("maxOffsetsPerTrigger", str(max_records)).load().select(*_COLUMNS)
