"""Bronze tables written directly, without a broker or a sink, for tests of the warehouse."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from soundlake.contract import BRONZE_SCHEMA, HISTORY, REJECTED_SCHEMA, REJECTED_TABLE, TOPICS, Topic, wrap_refused_row

TOPIC_OF_TABLE: dict[str, Topic] = {topic.table: topic for topic in TOPICS}
PARTS_OF_TABLE = {topic.table: topic.partition_by for topic in TOPICS} | {REJECTED_TABLE: ("year", "month", "day")}
FIRST_INGEST = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}


class BronzeBuilder:
    """A lake of bronze tables; each `append` is one batch, one second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage_options: dict[str, str] = {}
        self.batches = dict.fromkeys(PARTS_OF_TABLE, 0)
        self.offsets = dict.fromkeys(PARTS_OF_TABLE, 0)
        self._seconds = 0
        for table in PARTS_OF_TABLE:
            self.create_table(table)

    def find_uri(self, name: str, layer: str = "bronze") -> str:
        return f"{self.folder.absolute().as_uri()}/{layer}/{name}"

    def read_last_batch(self, name: str) -> int:
        return self.batches[name]

    def has_rows(self, name: str) -> bool:
        return self.batches[name] > 0

    def read_table_id(self, name: str) -> str:
        return str(DeltaTable(self.find_uri(name)).metadata().id)

    def create_table(self, table: str) -> None:
        partition_by = list(PARTS_OF_TABLE[table])
        schema = pa.schema([*schema_of(table), *(pa.field(part, pa.string()) for part in partition_by)])
        DeltaTable.create(self.find_uri(table), schema, mode="overwrite", partition_by=partition_by)
        self.batches[table] = self.offsets[table] = 0

    def append(self, table: str, events: Iterable[Mapping[str, Any]]) -> None:
        self.append_table(table, pa.Table.from_pylist([complete(event) for event in events], BRONZE_SCHEMA))

    def append_rejected(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Rows of exports that an import rejected, each with its listener, as the sink writes them to bronze/rejected."""
        values = [wrap_refused_row("names_nothing", "spotify_export", user_id, row) for user_id, row in rows]
        columns = {"value": pa.array(values, pa.binary()), "reason": pa.repeat("names_nothing", len(values))}
        arrays = [columns.get(field.name, pa.nulls(len(values), field.type)) for field in REJECTED_SCHEMA]
        self.append_table(REJECTED_TABLE, pa.Table.from_arrays(arrays, schema=REJECTED_SCHEMA))

    def append_placed(self, placed: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """A batch of `Listening`: each event to its table, rejected rows to bronze/rejected."""
        for table in sorted({table for table, _ in placed} - {REJECTED_TABLE}):
            self.append(table, [event for to, event in placed if to == table])
        self.append_rejected((row["user_id"], row["row"]) for to, row in placed if to == REJECTED_TABLE)

    def append_table(self, table: str, rows: pa.Table) -> None:
        topic = TOPIC_OF_TABLE.get(table, HISTORY)
        schema, partition_by = schema_of(table), list(PARTS_OF_TABLE[table])
        self._seconds += 1
        batch, offset = self.batches[table] + 1, self.offsets[table]
        stamps = {
            "_broker": pa.repeat("test", len(rows)),
            "_topic": pa.repeat(topic.name, len(rows)),
            "_partition": pa.repeat(pa.scalar(0, pa.int64()), len(rows)),
            "_offset": pa.array(range(offset, offset + len(rows)), pa.int64()),
            "_ingested_at": pa.repeat(pa.scalar(FIRST_INGEST + timedelta(seconds=self._seconds), pa.timestamp("us", "UTC")), len(rows)),
            "_batch": pa.repeat(pa.scalar(batch, pa.int64()), len(rows)),
        }
        for name, values in stamps.items():
            rows = rows.set_column(rows.schema.get_field_index(name), schema.field(name), values)
        for part in partition_by:
            rows = rows.append_column(
                part, pc.strftime(rows["_ingested_at" if table == REJECTED_TABLE else "played_at"], format=PARTS[part])
            )
        commit = CommitProperties(app_transactions=[Transaction("sink/batch", batch)])
        write_deltalake(self.find_uri(table), rows, mode="append", partition_by=partition_by, commit_properties=commit)
        self.batches[table], self.offsets[table] = batch, offset + len(rows)


def schema_of(table: str) -> pa.Schema:
    return REJECTED_SCHEMA if table == REJECTED_TABLE else BRONZE_SCHEMA


def complete(event: Mapping[str, Any]) -> dict[str, Any]:
    """One bronze row of an event that names only what matters to a test."""
    defaults: dict[str, Any] = {
        "event_id": str(uuid.uuid4()),
        "event_type": "play",
        "schema_version": 1,
        "user_id": "ana",
        "played_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "source": "generator",
    }
    return {name: {**defaults, **event}.get(name) for name in BRONZE_SCHEMA.names}


def complete_columns(columns: Mapping[str, pa.Array]) -> pa.Table:
    """Bronze rows of the columns that matter; all others are null."""
    count = len(next(iter(columns.values())))
    arrays = [columns[field.name].cast(field.type) if field.name in columns else pa.nulls(count, field.type) for field in BRONZE_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=BRONZE_SCHEMA)
