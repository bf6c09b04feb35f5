"""The processed tables: Delta, written by Spark alone, each batch of a checkpoint once."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from soundlake.contract.schemas import build_spark_ddl
from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE
from soundlake.streaming.enrichment import ENRICHED_DDL

QUARANTINE = "quarantine"
TABLE_OF_TYPE: dict[str, str] = {event_type: topic.table for event_type, topic in LIVE_TOPIC_OF_TYPE.items()}
"""The processed table of each event type; the names are those of bronze."""

_RECORD_DDL = "_topic STRING, _partition BIGINT, _offset BIGINT, _logged_at TIMESTAMP, processed_at TIMESTAMP"
_MONTH_DDL = "year STRING, month STRING"
_BATCH = "stream/"
"""Prefix of a batch's name in the log of a table."""
_COMMITS_BACK = 100
"""More commits than maintenance makes between two batches."""
_PROPERTIES = {
    # Protocol (1,2), which every engine here reads.
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
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
        return [column.strip().split(" ")[0] for column in self.ddl.split(",")]


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


def ensure_tables(session: SparkSession, processed: str) -> None:
    """Create the processed tables that are missing."""
    for table in TABLES.values():
        properties = {**_PROPERTIES, "delta.dataSkippingStatsColumns": ",".join(table.stats_columns)}
        text = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        session.sql(
            f"create table if not exists delta.`{processed}/{table.name}` ({table.ddl}) using delta "
            f"partitioned by (year, month) tblproperties ({text})"
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


def holds_batch(session: SparkSession, uri: str, batch: Batch) -> bool:
    """Whether the table's newest batch is this one.

    Delta's own way (txnAppId, txnVersion) checks this before every write and computes the table's whole state for it: half of a
    batch's time.
    """
    return read_newest_batch(session, uri) == batch


def read_newest_batch(session: SparkSession, uri: str) -> Batch | None:
    """The newest batch in a table, if it has any. Later commits are maintenance and name no batch."""
    commits = session.sql(f"describe history delta.`{uri}` limit {_COMMITS_BACK}").where(f.col("userMetadata").startswith(_BATCH))
    newest = commits.orderBy(f.col("version").desc()).select("userMetadata").first()
    if newest is None:
        return None
    checkpoint_id, number = newest["userMetadata"].removeprefix(_BATCH).rsplit("/", 1)
    return Batch(checkpoint_id, int(number))


def shape_quarantine(rows: DataFrame) -> DataFrame:
    """The columns kept of rejected rows: the record's bytes, and the listener if it could be read."""
    return rows.withColumnsRenamed({"_value": "value", "_key": "key"})


def assign_table(checked: DataFrame) -> DataFrame:
    """Add `_table`, the table of each row."""
    by_type = f.create_map(*(f.lit(text) for pair in TABLE_OF_TYPE.items() for text in pair))
    return checked.withColumn("_table", f.when(f.col("reason").isNotNull(), QUARANTINE).otherwise(by_type[f.col("event_type")]))
