"""The bronze tables: one for each topic, one for rejected records and one for their replays, all partitioned by time."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from soundlake.contract import BRONZE_FIELDS, BRONZE_SCHEMA, REJECTED_SCHEMA, REJECTED_TABLE, TOPICS
from soundlake.contract.schemas import build_arrow_schema
from soundlake.contract.topics import DAILY, MONTHLY

TABLE_PROPERTIES = {
    "delta.checkpointInterval": "100",
    # A commit lists the log's folder three times, file by file, and commits every two seconds make 1,800 files an hour. Older commits
    # are in a checkpoint. A handle from before the checkpoint fails in delta-rs; DeltaBronzeTable then opens a new one.
    "delta.logRetentionDuration": "interval 2 minutes",
    "delta.deletedFileRetentionDuration": "interval 24 hours",
}
"""Properties of every bronze table. None needs more than protocol (1,2), which all engines read."""


@dataclass(frozen=True)
class TableLayout:
    """One bronze table: the columns in its files, its partition columns and the time column they are derived from."""

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...]
    time_column: str

    @property
    def full_schema(self) -> pa.Schema:
        """The columns of the table: those in the files, then the partition columns (zero-padded text)."""
        return pa.schema([*self.schema, *(pa.field(name, pa.string()) for name in self.partition_by)])

    @property
    def stats_columns(self) -> tuple[str, ...]:
        """The columns whose minimum and maximum are in the log: those that readers filter on."""
        return tuple(name for name in ("_batch", "_partition", "_offset", "played_at") if name in self.schema.names)


REPLAYS_SCHEMA = pa.schema([
    pa.field("replay", pa.string()),
    pa.field("step", pa.string()),
    pa.field("acted_at", pa.timestamp("us", tz="UTC")),
    pa.field("owner", pa.string()),
    pa.field("target", pa.string()),
    pa.field("target_log", pa.string()),
    pa.field("marks", pa.string()),
    pa.field("digest", pa.binary()),
    *build_arrow_schema(tuple(field for field in BRONZE_FIELDS if field.name != "_ingested_at")),
])  # fmt: skip
"""One row of bronze/replays: a step (see operations.dead_letters) in the replay of the rejected record at these coordinates.

`marks`: the end offsets of the partitions of `target` before the replay, as JSON. `digest`: the SHA-256 of key and value as published.
"""

REPLAYS_TABLE = "replays"
REJECTED = TableLayout(REJECTED_TABLE, REJECTED_SCHEMA, DAILY, "_ingested_at")
LAYOUTS: dict[str, TableLayout] = {
    **{topic.table: TableLayout(topic.table, BRONZE_SCHEMA, topic.partition_by, "played_at") for topic in TOPICS},
    REJECTED_TABLE: REJECTED,
    REPLAYS_TABLE: TableLayout(REPLAYS_TABLE, REPLAYS_SCHEMA, MONTHLY, "acted_at"),
}
"""Every bronze table by name."""
