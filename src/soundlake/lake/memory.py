"""Bronze tables in the memory of this process: the fake behind `BronzeTable`, with the same conflicts and no files."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.errors import PositionMoved
from soundlake.lake.forgotten import Forgotten
from soundlake.lake.layout import LAYOUTS
from soundlake.lake.protocol import NO_POSITION, Checkpoint, CommitConflict, PositionMove, ignore_checkpoint, list_transactions


@dataclass(frozen=True)
class _Version:
    """A table after so many commits."""

    batch: int
    rows: pa.Table
    positions: dict[str, int]


@dataclass
class _Storage:
    """What all views of one table share."""

    version: _Version
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryBronzeTable:
    """A `BronzeTable` that lives as long as its `MemoryBronzeTables`. Rows have no partition columns."""

    def __init__(self, name: str, storage: _Storage, checkpoint: Checkpoint) -> None:
        self._name, self._storage, self._checkpoint = name, storage, checkpoint
        self._view = storage.version

    def refresh(self) -> None:
        """Take the newest version as the view."""
        self._view = self._storage.version

    def read_last_batch(self) -> int:
        """The number of the last commit, 0 when there is none."""
        return self._view.batch

    def read_position(self, app_id: str) -> int:
        """The last offset stored of a partition, `NO_POSITION` when there is none."""
        return self._view.positions.get(app_id, NO_POSITION)

    def read(self, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows of the view, some columns of them and those that the filter lets pass."""
        rows = self._view.rows if rows_where is None else self._view.rows.filter(rows_where)
        return rows if columns is None else rows.select(columns)

    def append(self, rows: pa.Table, moves: Iterable[PositionMove]) -> int:
        """Commit rows and positions; repeat after a conflict as long as the positions are as expected. Raises PositionMoved."""
        moves = list(moves)
        while True:
            for move in moves:
                if (found := self.read_position(move.app_id)) != move.expected:
                    raise PositionMoved(self._name, move.app_id, move.expected, found)
            try:
                return self._commit(rows, moves)
            except CommitConflict:
                self.refresh()

    def append_unless_changed(self, rows: pa.Table, moves: Iterable[PositionMove], *, since_batch: int) -> int:
        """Commit if `since_batch` is still the last batch; raises CommitConflict otherwise."""
        if self._view.batch != since_batch:
            raise CommitConflict(f"{self._name}: batch {since_batch} is no longer the last", next_step="read it again")
        return self._commit(rows, list(moves))

    def _commit(self, rows: pa.Table, moves: list[PositionMove]) -> int:
        self._checkpoint("files_written")
        with self._storage.lock:
            if self._storage.version is not self._view:
                raise CommitConflict(f"{self._name}: another writer committed first", next_step="try again")
            batch = self._view.batch + 1
            numbered = rows.append_column(pa.field("_batch", pa.int64()), pa.repeat(pa.scalar(batch, pa.int64()), len(rows)))
            stored = pa.concat_tables([self._view.rows, numbered.select(self._view.rows.column_names)])
            positions = dict(self._view.positions)
            for move in moves:
                positions |= list_transactions(move, self.read_position)
            self._view = self._storage.version = _Version(batch, stored, positions)
        return batch


class MemoryBronzeTables:
    """Every bronze table, empty at first; `forgotten` is who was forgotten."""

    def __init__(self) -> None:
        self.forgotten = Forgotten()
        self._storages = {name: _Storage(_Version(0, layout.schema.empty_table(), {})) for name, layout in LAYOUTS.items()}

    def open_table(self, name: str, checkpoint: Checkpoint = ignore_checkpoint) -> MemoryBronzeTable:
        """A view of the table as it is now."""
        return MemoryBronzeTable(name, self._storages[name], checkpoint)

    def read(self, name: str, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows of a table as it is now."""
        return self.open_table(name).read(columns, rows_where)

    def read_last_batch(self, name: str) -> int:
        """The number of a table's last commit, 0 when there is none."""
        return self.open_table(name).read_last_batch()

    @contextmanager
    def begin_write(self) -> Iterator[Forgotten]:
        """Who is forgotten; nothing erases here, so there is no lock."""
        yield self.forgotten
