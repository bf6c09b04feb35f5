"""bronze/rejected as the topic writers of one sink share it. Its rows decide which records are rejected."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.lake import BronzeTable, CommitConflict, PositionMove

_COLUMNS = ["_topic", "_partition", "_offset", "reason", "detail", "event_id"]


def get_coordinates(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Partition and offset of each row."""
    return rows["_partition"].to_numpy(), rows["_offset"].to_numpy()


class RejectedTable:
    """This process's only view of bronze/rejected.

    `generation` grows whenever another writer has committed: rows read from the table before are outdated then.
    """

    def __init__(self, table: BronzeTable) -> None:
        self._table = table
        self._batch: int | None = None
        self.generation = 0

    def read_above(self, broker: str, topic: str, positions: dict[int, int]) -> pa.Table:
        """The rows of these partitions whose offset is above the position of their event table."""
        if self._batch is None:
            self._batch = self._table.read_last_batch()
        above = pc.scalar(False)  # noqa: FBT003  # the neutral element of `or`
        for partition, position in positions.items():
            above = above | ((pc.field("_partition") == partition) & (pc.field("_offset") > position))
        of_topic = (pc.field("_broker") == broker) & (pc.field("_topic") == topic) & (pc.field("_offset") > min(positions.values()))
        return self._table.read(_COLUMNS, of_topic & above)

    def append(self, rows: pa.Table, moves: Iterable[PositionMove]) -> None:
        """Commit the rows. Raises CommitConflict, with a new `generation`, if another writer committed since the last read or append."""
        assert self._batch is not None, "read_above comes before append"
        try:
            self._batch = self._table.append_unless_changed(rows, moves, since_batch=self._batch)
        except CommitConflict:
            self._table.refresh()
            self._batch = self._table.read_last_batch()
            self.generation += 1
            raise
