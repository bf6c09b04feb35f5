"""The seam between a sink and its tables: `BronzeTable`, with the delivery contract that exactly-once storing rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.errors import Retryable
from soundlake.lake.forgotten import Forgotten

NO_POSITION = -1
"""The position of a partition of which nothing is stored yet."""

Checkpoint = Callable[[str], None]
"""Called with the name of a point that a write has passed; tests interrupt writers there."""


def ignore_checkpoint(_point: str) -> None:
    """The default checkpoint: nothing happens."""


class CommitConflict(Retryable):
    """Another writer committed first: what this commit was based on may no longer be true. Read again and repeat."""


class MissingKind(StrEnum):
    """Why no row stands for an offset.

    It holds no record (a transaction's marker, an aborted or erased record), its loss was accepted, or its listener was forgotten.
    """

    EMPTY = "empty"
    LOST = "lost"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class MissingOffsets:
    """Offsets of a partition, between two positions, that no row stands for: their number and the first of them."""

    kind: MissingKind
    count: int
    first: int


@dataclass(frozen=True)
class PositionMove:
    """One partition's part in a commit: its position moves from `expected` (the last offset stored so far) to `last`.

    `missing` is added to the counts that the table keeps of the partition.
    """

    app_id: str
    expected: int
    last: int
    missing: tuple[MissingOffsets, ...] = ()


def make_position_app_id(broker: str, topic: str, partition: int) -> str:
    """The application transaction under which a table keeps the position of one partition."""
    return f"sink/{broker}/{topic}/{partition}"


def make_missing_app_ids(position_app_id: str, kind: MissingKind) -> tuple[str, str]:
    """The application transactions that count a partition's missing offsets of a kind, and that keep the first of them."""
    return f"{position_app_id}/{kind}", f"{position_app_id}/{kind}/first"


def make_begin_app_id(position_app_id: str) -> str:
    """The application transaction that keeps the first offset a partition had when it was first seen."""
    return f"{position_app_id}/begin"


def list_transactions(move: PositionMove, read: Callable[[str], int]) -> dict[str, int]:
    """What a commit sets for a move, by application transaction; `read` reads one as the commit finds it, `NO_POSITION` if unset."""
    found = {move.app_id: move.last}
    for missing in move.missing:
        count_id, first_id = make_missing_app_ids(move.app_id, missing.kind)
        first = read(first_id)
        found |= {
            count_id: max(read(count_id), 0) + missing.count,
            first_id: missing.first if first == NO_POSITION else first,
        }
    return found


class BronzeTable(Protocol):
    """One bronze table, as one writer or reader uses it. Not thread-safe: every thread opens its own.

    What a caller may rely on (docs/decisions/0001):

    - A commit appends rows and moves positions, both or neither. Readers see a commit whole or not at all.
    - The position of a partition is kept in the table and nowhere else, so a writer that restarts reads it here. So are the counts of
      the offsets below it that no row stands for (`MissingOffsets`).
    - Commits of a table are serial. Each gets the next batch number; its rows have it in `_batch`.
    - Positions, the batch number and rows are read from one view of the table. A commit succeeds only if no other writer has
      committed since that view; otherwise it conflicts, and nothing of it is visible.
    - A call that raised may be repeated: the position shows whether its rows were stored. After Unavailable they may have been, so
      read the position before storing the same records again.
    """

    def refresh(self) -> None:
        """Take a new view of the table. Raises Unavailable."""

    def read_last_batch(self) -> int:
        """The number of the last commit, 0 when there is none."""

    def read_position(self, app_id: str) -> int:
        """The last offset stored of a partition, `NO_POSITION` when there is none."""

    def read(self, columns: list[str] | None = None, rows_where: pc.Expression | None = None) -> pa.Table:
        """The rows of this view: some of their columns, and those rows for which the filter is true."""

    def append(self, rows: pa.Table, moves: Iterable[PositionMove]) -> int:
        """Append rows (without `_batch`) and move positions in one commit; returns its batch number. Without rows, only positions move.

        A conflict with another writer is retried as long as the positions are where the caller expects them.
        Raises PositionMoved if one is not, Unavailable if the store fails or conflicts do not end.
        """

    def append_unless_changed(self, rows: pa.Table, moves: Iterable[PositionMove], *, since_batch: int) -> int:
        """Append only if `since_batch` is still the last batch; raises CommitConflict otherwise, and does not retry."""


def read_next_offset(table: BronzeTable, position_app_id: str, begin: int) -> int:
    """The offset to store next: behind the position; without one, where the partition began when first seen, `begin` if it never was."""
    if (position := table.read_position(position_app_id)) != NO_POSITION:
        return position + 1
    seen = table.read_position(make_begin_app_id(position_app_id))
    return begin if seen == NO_POSITION else seen


class BronzeTables(Protocol):
    """Opens bronze tables by name."""

    def open_table(self, name: str, checkpoint: Checkpoint = ignore_checkpoint) -> BronzeTable:
        """A view of the table of that name; `checkpoint("files_written")` is called between writing rows and committing them."""

    def begin_write(self) -> AbstractContextManager[Forgotten]:
        """Hold the writers' lock, which an erasure holds alone, together with other writers for the block.

        Yields who was forgotten: their rows are not to be stored. Who writes files holds it until they are committed.
        """
