"""Let go of rows that are old enough, whole partitions of time at once, and remember how many, so that sums still add up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import Transaction

from soundlake.lake.compaction import Cell, count_files
from soundlake.lake.store_errors import translate_store_errors
from soundlake.lake.layout import TableLayout
from soundlake.lake.object_store import open_filesystem

_PLACE = ("_broker", "_topic", "_partition")


def make_deleted_rows_app_id(broker: str, topic: str, partition: int) -> str:
    """The name under which a table remembers how many rows of a partition retention has let go of."""
    return f"retention/rows/{broker}/{topic}/{partition}"


def make_first_deleted_app_id(broker: str, topic: str, partition: int) -> str:
    """The name under which a table remembers the first offset that retention has let go of."""
    return f"retention/first/{broker}/{topic}/{partition}"


DELETED_ROWS_APP_ID = "retention/rows"
"""How many rows of all partitions a table has let go of."""


def delete_old_rows(table: DeltaTable, layout: TableLayout, storage_options: dict[str, str], before: datetime) -> int:
    """Delete the partitions of time that end at or before that moment and got their last row before it; returns how many rows.

    What has only just come of an old time (an import) stays until it has been here as long. A month is a commit, and its counts are in it.
    Raises CommitConflict if somebody else changed these partitions meanwhile: the next round tries again.
    """
    dropped = 0
    for cells in _group(_find_old_cells(table, layout, before)):
        dropped += _drop(table, layout, storage_options, cells, before)
        table.update_incremental()
    return dropped


def _find_old_cells(table: DeltaTable, layout: TableLayout, before: datetime) -> list[Cell]:
    first_kept = tuple(before.astimezone(UTC).strftime("%Y-%m-%d-%H").split("-")[: len(layout.partition_by)])
    return sorted(cell for cell in count_files(table, layout) if cell < first_kept)


def _group(cells: list[Cell]) -> Iterator[list[Cell]]:
    """The cells of a month together."""
    for _, group in groupby(cells, key=lambda cell: cell[:2]):
        yield list(group)


def _drop(table: DeltaTable, layout: TableLayout, storage_options: dict[str, str], cells: list[Cell], before: datetime) -> int:
    with translate_store_errors(table.table_uri):
        rows, came_at = _read_month(table, layout, storage_options, cells[0]), _name_arrival(layout)
        newest = rows.group_by(list(layout.partition_by)).aggregate([(came_at, "max")])
        old = {tuple(row[name] for name in layout.partition_by) for row in newest.to_pylist() if row[f"{came_at}_max"] < before}
        old &= set(cells)
        if not old:
            return 0
        cell_columns = pa.table(list(map(pa.array, zip(*old, strict=True))), names=list(layout.partition_by))
        gone = rows.join(cell_columns, list(layout.partition_by), join_type="left semi")
        counts = gone.group_by(list(_PLACE)).aggregate([("_offset", "count"), ("_offset", "min")]).to_pylist()
        transactions = [step for place in counts for step in _count_up(table, place)]
        transactions.append(Transaction(DELETED_ROWS_APP_ID, (table.transaction_version(DELETED_ROWS_APP_ID) or 0) + len(gone)))
        table.delete(_write_predicate(layout, sorted(old)), commit_properties=CommitProperties(app_transactions=transactions))
    return len(gone)


def _read_month(table: DeltaTable, layout: TableLayout, storage_options: dict[str, str], cell: Cell) -> pa.Table:
    """Where and when the rows of a cell's month came, by partition of time."""
    month = [(name, "=", value) for name, value in zip(layout.partition_by[:2], cell[:2], strict=True)]
    files = open_filesystem(table.table_uri, storage_options)
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=month, filesystem=files)
    return dataset.to_table(columns=[*_PLACE, "_offset", _name_arrival(layout), *layout.partition_by])


def _name_arrival(layout: TableLayout) -> str:
    """The column that tells when a row came."""
    return "_ingested_at" if "_ingested_at" in layout.schema.names else layout.time_column


def _count_up(table: DeltaTable, counted: dict[str, Any]) -> list[Transaction]:
    """What the table shall remember of a partition: so many rows more, and the first offset of all that went."""
    place = (counted["_broker"], counted["_topic"], counted["_partition"])
    rows_id, first_id = make_deleted_rows_app_id(*place), make_first_deleted_app_id(*place)
    first, known_first = counted["_offset_min"], table.transaction_version(first_id)
    return [
        Transaction(rows_id, (table.transaction_version(rows_id) or 0) + counted["_offset_count"]),
        Transaction(first_id, first if known_first is None else min(first, known_first)),
    ]


def _write_predicate(layout: TableLayout, cells: list[Cell]) -> str:
    """The cells as SQL over the partition columns alone, so that whole files go and none is read."""
    *_, last = layout.partition_by
    terms = []
    for outer, group in groupby(cells, key=lambda cell: cell[:-1]):
        values = ", ".join(f"'{cell[-1]}'" for cell in group)
        shared = [f"{name} = '{value}'" for name, value in zip(layout.partition_by[:-1], outer, strict=True)]
        terms.append("(" + " and ".join([*shared, f"{last} in ({values})"]) + ")")
    return " or ".join(terms)
