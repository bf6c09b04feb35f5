"""Counts of the rows that were deleted from a bronze table, so that the reconciliation still adds up."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import Transaction

SOURCE_COLUMNS = ("_broker", "_topic", "_partition")


class DeletedBy(StrEnum):
    """What deleted rows: their age, or the erasure of a listener."""

    RETENTION = "retention"
    ERASURE = "erasure"


def make_deleted_rows_app_id(broker: str, topic: str, partition: int, by: DeletedBy = DeletedBy.RETENTION) -> str:
    """The application transaction that counts the deleted rows of a partition."""
    return f"{by}/rows/{broker}/{topic}/{partition}"


def make_first_deleted_app_id(broker: str, topic: str, partition: int, by: DeletedBy = DeletedBy.RETENTION) -> str:
    """The application transaction that keeps the first deleted offset of a partition."""
    return f"{by}/first/{broker}/{topic}/{partition}"


DELETED_ROWS_APP_ID = f"{DeletedBy.RETENTION}/rows"
"""The application transaction that counts the rows of all partitions that retention has deleted from a table."""


def count_deleted_rows(table: DeltaTable, deleted: pa.Table, by: DeletedBy) -> list[Transaction]:
    """The table's counters once these rows (SOURCE_COLUMNS, `_offset`) are deleted: the rows and the first offset of each partition."""
    counts = deleted.group_by(list(SOURCE_COLUMNS)).aggregate([("_offset", "count"), ("_offset", "min")]).to_pylist()
    transactions = []
    for counted in counts:
        source: tuple[str, str, int] = (counted["_broker"], counted["_topic"], counted["_partition"])
        rows_id, first_id = make_deleted_rows_app_id(*source, by), make_first_deleted_app_id(*source, by)
        first, known_first = counted["_offset_min"], table.transaction_version(first_id)
        transactions += [
            Transaction(rows_id, (table.transaction_version(rows_id) or 0) + counted["_offset_count"]),
            Transaction(first_id, first if known_first is None else min(first, known_first)),
        ]
    return transactions
