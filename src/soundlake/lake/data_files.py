"""Write rows as Parquet files, one for each time partition, with the statistics that the Delta log keeps of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from soundlake.lake.layout import TableLayout

_NUMPY_UNITS = {"year": "Y", "month": "M", "day": "D", "hour": "h"}
# Measured on 40 columns: a file of 92 rows takes 3.2 ms with ZSTD and dictionaries (their set-up, column by column) and
# 1.2 ms without, at the same size; from a thousand rows on ZSTD is a third smaller. Of 50,000 rows, dictionaries of numbers and of
# event_id cost a fifth of the writing and make the file 12 % larger, statistics of all columns cost a tenth.
_SMALL_FILE_ROWS = 1_000
_UNIQUE_TEXTS = frozenset({"event_id"})


@dataclass(frozen=True)
class PartitionedRows:
    """Rows sorted by time, and the index at which each time partition begins and ends."""

    rows: pa.Table
    times_us: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    values: list[dict[str, str]]


def partition_rows(rows: pa.Table, layout: TableLayout) -> PartitionedRows:
    """Sort the rows, at least one, by the table's time (equal times keep their order) and find the run of each partition."""
    times_us = rows[layout.time_column].cast(pa.int64()).to_numpy()
    if np.any(times_us[1:] < times_us[:-1]):
        order = np.argsort(times_us, kind="stable")
        rows, times_us = _take(rows, order), times_us[order]
    cells = times_us.astype("datetime64[us]").astype(f"datetime64[{_NUMPY_UNITS[layout.partition_by[-1]]}]")
    starts = np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1])
    ends = np.append(starts[1:], len(cells))
    values = [dict(zip(layout.partition_by, str(cells[start]).replace("T", "-").split("-"), strict=True)) for start in starts]
    return PartitionedRows(rows.combine_chunks(), times_us, starts, ends, values)


def _take(rows: pa.Table, order: np.ndarray) -> pa.Table:
    """The rows in this order. Most columns of an event are null throughout and need no reordering."""
    taken = pa.array(order)
    return pa.table(
        [column if column.null_count == len(column) else column.combine_chunks().take(taken) for column in rows.columns], schema=rows.schema
    )


def write_files(store: obstore.store.ObjectStore, rows: pa.Table, layout: TableLayout, batch: int) -> list[AddAction]:
    """Write one file for each time partition; the files belong to the table once a commit adds the returned actions."""
    if not len(rows):
        return []
    partitioned = partition_rows(rows, layout)
    token = uuid.uuid4().hex
    actions = []
    for start, end, values, stats in zip(
        partitioned.starts, partitioned.ends, partitioned.values, _describe_files(partitioned, layout), strict=True
    ):
        folder = "/".join(f"{name}={value}" for name, value in values.items())
        path = f"{folder}/part-{batch:08d}-{token}.parquet"
        content = encode_parquet(partitioned.rows.slice(start, end - start), layout)
        obstore.put(store, path, content)
        actions.append(AddAction(path, len(content), values, int(time.time() * 1000), data_change=True, stats=stats))
    return actions


def encode_parquet(rows: pa.Table, layout: TableLayout) -> bytes:
    """One Parquet file. Large ones use ZSTD, dictionaries for text and column statistics, which cost more than they save in small ones."""
    buffer = pa.BufferOutputStream()
    if len(rows) < _SMALL_FILE_ROWS:
        pq.write_table(rows, buffer, compression="snappy", use_dictionary=False, write_statistics=False, store_schema=False)
    else:
        pq.write_table(
            rows,
            buffer,
            compression="zstd",
            use_dictionary=[field.name for field in rows.schema if pa.types.is_string(field.type) and field.name not in _UNIQUE_TEXTS],
            write_statistics=list(layout.stats_columns),
            store_schema=False,
        )
    return cast("bytes", buffer.getvalue().to_pybytes())


def _describe_files(partitioned: PartitionedRows, layout: TableLayout) -> Iterator[str]:
    """The statistics of each file for the log (Delta protocol, per-file statistics), as JSON."""
    minimums: dict[str, list[object]] = {}
    maximums: dict[str, list[object]] = {}
    for name in layout.stats_columns:
        if name == layout.time_column:
            minimums[name] = _format_times(partitioned.times_us[partitioned.starts])
            maximums[name] = _format_times(partitioned.times_us[partitioned.ends - 1])
        else:
            numbers = partitioned.rows[name].to_numpy()
            minimums[name] = np.minimum.reduceat(numbers, partitioned.starts).tolist()
            maximums[name] = np.maximum.reduceat(numbers, partitioned.starts).tolist()
    no_nulls = dict.fromkeys(layout.stats_columns, 0)
    for index, count in enumerate((partitioned.ends - partitioned.starts).tolist()):
        yield json.dumps({
            "numRecords": count,
            "minValues": {name: column[index] for name, column in minimums.items()},
            "maxValues": {name: column[index] for name, column in maximums.items()},
            "nullCount": no_nulls,
        })  # fmt: skip


def _format_times(times_us: np.ndarray) -> list[object]:
    return [f"{text}Z" for text in np.datetime_as_string(times_us.astype("datetime64[us]"), unit="us")]
