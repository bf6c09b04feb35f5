"""A lake in memory, filled from a log in memory, so that imports are tested without files or a sink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from soundlake.broker import MemoryBroker, Publisher
from soundlake.contract import EVENT_SCHEMA, HISTORY, REJECTED_SCHEMA, TOPICS
from soundlake.contract.decode import decode_records
from soundlake.importing import RowPublisher, StoredRows

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


@dataclass
class MemoryTable:
    """The part of a table that an import reads."""

    rows: pa.Table

    def read(self, columns: list[str], rows_where: Any = None) -> pa.Table:
        return ds.dataset(self.rows).to_table(columns=columns, filter=rows_where)


@dataclass
class MemoryLake:
    """Tables by name, filled by `store` from a log, as the sink does."""

    tables: dict[str, MemoryTable] = field(
        default_factory=lambda: (
            {topic.table: MemoryTable(EVENT_SCHEMA.empty_table()) for topic in TOPICS}
            | {"rejected": MemoryTable(REJECTED_SCHEMA.empty_table())}
        )
    )
    offsets: dict[int, int] = field(default_factory=dict)

    def open_table(self, name: str) -> MemoryTable:
        return self.tables[name]

    def store(self, broker: MemoryBroker) -> None:
        for partition, held in broker.offsets(HISTORY.name).items():
            while (offset := self.offsets.get(partition, 0)) < held.end:
                records = broker.fetch(HISTORY.name, partition, offset, max_records=10_000, max_bytes=2**24)
                decoded = decode_records(HISTORY, records.values, records.timestamps_ms)
                self._append("history", decoded.events)
                rejected = decoded.rejected
                values = records.values.take(pa.array(rejected["row"].combine_chunks()))
                self._append("rejected", _make_rejected(values, rejected["reason"]))
                self.offsets[partition] = offset + len(records)

    def _append(self, name: str, rows: pa.Table) -> None:
        self.tables[name].rows = pa.concat_tables([self.tables[name].rows, rows])

    @property
    def history(self) -> list[dict[str, Any]]:
        return self.tables["history"].rows.to_pylist()

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return self.tables["rejected"].rows.to_pylist()


def _make_rejected(values: pa.Array, reasons: pa.ChunkedArray) -> pa.Table:
    columns = {"value": values, "reason": reasons, "_topic": pa.repeat(pa.scalar(HISTORY.name), len(values))}
    return pa.table(
        {column.name: columns.get(column.name, pa.nulls(len(values), column.type)) for column in REJECTED_SCHEMA}, REJECTED_SCHEMA
    )


@dataclass
class Deployment:
    """A log and a lake in memory, shared by several imports."""

    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(clock=lambda: NOW))
    lake: MemoryLake = field(default_factory=MemoryLake)

    def __post_init__(self) -> None:
        self.broker.create_topics([HISTORY], partitions=2)

    def open_publisher(self, listeners: Sequence[str] | None) -> RowPublisher:
        self.lake.store(self.broker)
        return RowPublisher(Publisher(self.broker, lambda: NOW), StoredRows(self.lake, listeners))

    def drain(self) -> None:
        self.lake.store(self.broker)
