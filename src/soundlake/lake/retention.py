"""Row retention: delete old rows by whole time partitions, and count them, so that the reconciliation still adds up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import Transaction

from soundlake.lake.compaction import Cell, count_files
from soundlake.lake.deleted_rows import DELETED_ROWS_APP_ID, SOURCE_COLUMNS, DeletedBy, count_deleted_rows
from soundlake.lake.layout import TableLayout
from soundlake.lake.object_store import open_filesystem
from soundlake.lake.store_errors import translate_store_errors


def delete_old_rows(table: DeltaTable, layout: TableLayout, storage_options: dict[str, str], before: datetime) -> int:
    """Delete the time partitions that end at or before that moment and got their last row before it; returns the number of rows.

    Old events that have just arrived (an import) stay until they have been in the lake for as long. One commit a month deletes rows and
    counts them. Raises CommitConflict if another process changed these partitions meanwhile; the next round tries again.
    """
    deleted = 0
    for cells in _group_by_month(_find_old_cells(table, layout, before)):
        deleted += _delete(table, layout, storage_options, cells, before)
        table.update_incremental()
    return deleted


def _find_old_cells(table: DeltaTable, layout: TableLayout, before: datetime) -> list[Cell]:
    first_kept = tuple(before.astimezone(UTC).strftime("%Y-%m-%d-%H").split("-")[: len(layout.partition_by)])
    return sorted(cell for cell in count_files(table, layout) if cell < first_kept)


def _group_by_month(cells: list[Cell]) -> Iterator[list[Cell]]:
    for _, group in groupby(cells, key=lambda cell: cell[:2]):
        yield list(group)


def _delete(table: DeltaTable, layout: TableLayout, storage_options: dict[str, str], cells: list[Cell], before: datetime) -> int:
    with translate_store_errors(table.table_uri):
        rows, arrival = _read_month(table, layout, storage_options, cells[0]), _get_arrival_column(layout)
        newest = rows.group_by(list(layout.partition_by)).aggregate([(arrival, "max")])
        old = {tuple(row[name] for name in layout.partition_by) for row in newest.to_pylist() if row[f"{arrival}_max"] < before}
        old &= set(cells)
        if not old:
            return 0
        cell_columns = pa.table(list(map(pa.array, zip(*old, strict=True))), names=list(layout.partition_by))
        deleted = rows.join(cell_columns, list(layout.partition_by), join_type="left semi")
        transactions = count_deleted_rows(table, deleted, DeletedBy.RETENTION)
        transactions.append(Transaction(DELETED_ROWS_APP_ID, (table.transaction_version(DELETED_ROWS_APP_ID) or 0) + len(deleted)))
        table.delete(_write_predicate(layout, sorted(old)), commit_properties=CommitProperties(app_transactions=transactions))
    return len(deleted)


def _read_month(table: DeltaTable, layout: TableLayout, storage_options: dict[str, str], cell: Cell) -> pa.Table:
    """Source, arrival and time partition of the rows of a cell's month."""
    month = [(name, "=", value) for name, value in zip(layout.partition_by[:2], cell[:2], strict=True)]
    files = open_filesystem(table.table_uri, storage_options)
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=month, filesystem=files)
    return dataset.to_table(columns=[*SOURCE_COLUMNS, "_offset", _get_arrival_column(layout), *layout.partition_by])


def _get_arrival_column(layout: TableLayout) -> str:
    """The column that holds the time at which a row arrived."""
    return "_ingested_at" if "_ingested_at" in layout.schema.names else layout.time_column


def _write_predicate(layout: TableLayout, cells: list[Cell]) -> str:
    """The cells as SQL over the partition columns only: Delta then removes whole files without reading them."""
    *_, last = layout.partition_by
    terms = []
    for outer, group in groupby(cells, key=lambda cell: cell[:-1]):
        values = ", ".join(f"'{cell[-1]}'" for cell in group)
        shared = [f"{name} = '{value}'" for name, value in zip(layout.partition_by[:-1], outer, strict=True)]
        terms.append("(" + " and ".join([*shared, f"{last} in ({values})"]) + ")")
    return " or ".join(terms)
