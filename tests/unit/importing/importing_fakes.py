"""A deployment in memory: a log, bronze tables and the real sink between them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from soundlake.broker import MemoryBroker, Publisher
from soundlake.contract import TOPICS
from soundlake.history import HistoryFile, HistoryFiles, SpotifyExport
from soundlake.history.source_files import SourceFile
from soundlake.importing import RowPublisher, StoredRows
from soundlake.lake.memory import MemoryBronzeTables
from soundlake.retries import retry_policy
from soundlake.sink import Sink, SinkLimits

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


class Deployment:
    """Log and bronze, shared by several imports."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker(clock=lambda: NOW)
        self.broker.create_topics(TOPICS, partitions=2)
        self.tables = MemoryBronzeTables()
        self.sink = Sink(self.broker, self.tables, SinkLimits(max_seconds=0.1), clock=lambda: NOW)

    def open_raw_publisher(self) -> Publisher:
        return Publisher(self.broker, lambda: NOW, retry=retry_policy(first_wait_seconds=0, longest_wait_seconds=0, stop=2))

    def open_publisher(self, listeners: Sequence[str] | None) -> RowPublisher:
        self.drain()
        return RowPublisher(self.open_raw_publisher(), StoredRows(self.tables, listeners), self.tables.forgotten)

    def drain(self) -> None:
        self.sink.run(until_drained=True)

    @property
    def history(self) -> list[dict[str, Any]]:
        return self._read("history")

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return self._read("rejected")

    def _read(self, table: str) -> list[dict[str, Any]]:
        """The rows without the columns that bronze adds."""
        rows = self.tables.read(table)
        return rows.select([name for name in rows.column_names if not name.startswith("_")]).to_pylist()


def make_history(*files: tuple[str, Sequence[Any]]) -> HistoryFiles:
    """Export files in memory, from pairs of listener and rows."""
    return HistoryFiles(tuple(_make_file(number, user_id, rows) for number, (user_id, rows) in enumerate(files)))


def _make_file(number: int, user_id: str, rows: Sequence[Any]) -> HistoryFile:
    data = json.dumps(rows).encode()
    file = SourceFile(f"file_{number}", (), len(data), None, (number,), lambda: io.BytesIO(data))
    return HistoryFile(file, SpotifyExport(), user_id)
