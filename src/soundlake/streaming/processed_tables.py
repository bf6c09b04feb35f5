"""The processed tables: Delta, written by Spark alone, each batch of a checkpoint once.

They are created, and their newest batch is read, without Spark: it takes seconds of processor time where delta-rs takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from soundlake.contract.schemas import build_spark_ddl
from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE
from soundlake.lake.object_store import check_create_only
from soundlake.lake.table_log import create_table, read_commit_notes
from soundlake.streaming.deployment import StreamLocations, to_delta_uri
from soundlake.streaming.enrichment import ENRICHED_DDL

QUARANTINE = "quarantine"
TABLE_OF_TYPE: dict[str, str] = {event_type: topic.table for event_type, topic in LIVE_TOPIC_OF_TYPE.items()}
"""The processed table of each event type; the names are those of bronze."""

_RECORD_DDL = "_topic STRING, _partition BIGINT, _offset BIGINT, _logged_at TIMESTAMP, processed_at TIMESTAMP"
_MONTH = ("year", "month")
_MONTH_DDL = ", ".join(f"{name} STRING" for name in _MONTH)
_ARROW = {
    "STRING": pa.string(), "BINARY": pa.binary(), "BOOLEAN": pa.bool_(), "INT": pa.int32(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(),
    "DATE": pa.date32(), "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
_BATCH = "stream/"
"""Prefix of a batch's name in the log of a table."""
_COMMITS_BACK = 100
"""More commits than maintenance makes between two batches."""
_PROPERTIES = {
    # None needs more than protocol (1,2), which every engine here reads.
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}


@dataclass(frozen=True)
class ProcessedTable:
    """One processed table: its columns, the time that decides its month, and the columns with statistics in the log."""

    name: str
    ddl: str
    time_column: str
    stats_columns: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """The names of its columns, year and month last."""
        return list(self.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """Its columns as Arrow has them."""
        return pa.schema([(name, _ARROW[kind]) for name, kind in (column.split() for column in self.ddl.split(","))])


_EVENT_DDL = f"{build_spark_ddl()}, quality_flags STRING, {ENRICHED_DDL}, {_RECORD_DDL}, {_MONTH_DDL}"
_QUARANTINE_DDL = (
    "reason STRING, detail STRING, is_decoded BOOLEAN, event_id STRING, event_type STRING, user_id STRING, "
    f"value BINARY, key BINARY, {_RECORD_DDL}, {_MONTH_DDL}"
)
TABLES: dict[str, ProcessedTable] = {
    **{
        name: ProcessedTable(name, _EVENT_DDL, "played_at", ("played_at", "played_date", "_partition", "_offset", "processed_at"))
        for name in TABLE_OF_TYPE.values()
    },
    QUARANTINE: ProcessedTable(QUARANTINE, _QUARANTINE_DDL, "processed_at", ("_partition", "_offset", "processed_at")),
}
"""Every processed table by name; a late event goes into the month it happened in."""


def ensure_tables(locations: StreamLocations) -> None:
    """Create the processed tables that are missing. Raises Unavailable or SettingsError for a store that cannot be used."""
    uri, options = to_delta_uri(locations.processed), dict(locations.storage_options)

    @cache
    def check_store() -> None:
        if "://" in uri:
            check_create_only(uri, options)

    for table in TABLES.values():
        create_table(
            f"{uri}/{table.name}",
            table.schema,
            partition_by=_MONTH,
            properties={**_PROPERTIES, "delta.dataSkippingStatsColumns": ",".join(table.stats_columns)},
            storage_options=options,
            check_store=check_store,
        )


@dataclass(frozen=True)
class Batch:
    """One batch of one checkpoint; the id is part of its name, since the batches of a new checkpoint begin at 0 again."""

    checkpoint_id: str
    number: int

    def __str__(self) -> str:
        return f"{_BATCH}{self.checkpoint_id}/{self.number}"


def append_batch(rows: DataFrame, table: ProcessedTable, uri: str, batch: Batch) -> None:
    """Append rows (the table's columns without year and month) in one commit that names the batch."""
    at = f.col(table.time_column)
    dated = rows.withColumns({"year": f.date_format(at, "yyyy"), "month": f.date_format(at, "MM")})
    writer = dated.select(*table.columns).coalesce(1).write.format("delta").mode("append")
    writer.option("userMetadata", str(batch)).save(uri)


def holds_batch(locations: StreamLocations, name: str, batch: Batch) -> bool:
    """Whether the newest batch of this table is that one.

    Delta's own way (txnAppId, txnVersion) checks this before every write and computes the table's whole state for it: half of a
    batch's time.
    """
    return read_newest_batch(locations, name) == batch


def read_newest_batch(locations: StreamLocations, name: str) -> Batch | None:
    """The newest batch in a table, if it has any. Later commits are maintenance and name no batch."""
    notes = read_commit_notes(to_delta_uri(locations.table(name)), dict(locations.storage_options), limit=_COMMITS_BACK)
    newest = next((note for note in notes if note.startswith(_BATCH)), None)
    if newest is None:
        return None
    checkpoint_id, number = newest.removeprefix(_BATCH).rsplit("/", 1)
    return Batch(checkpoint_id, int(number))


def shape_quarantine(rows: DataFrame) -> DataFrame:
    """The columns kept of rejected rows: the record's bytes, and the listener if it could be read."""
    return rows.withColumnsRenamed({"_value": "value", "_key": "key"})


def assign_table(checked: DataFrame) -> DataFrame:
    """Add `_table`, the table of each row."""
    by_type = f.create_map(*(f.lit(text) for pair in TABLE_OF_TYPE.items() for text in pair))
    return checked.withColumn("_table", f.when(f.col("reason").isNotNull(), QUARANTINE).otherwise(by_type[f.col("event_type")]))
