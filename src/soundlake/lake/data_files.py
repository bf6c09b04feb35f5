"""Rows to Parquet files, one for each partition of time, with the statistics that the log keeps of them."""

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
_SINGULAR = frozenset({"event_id"})  # texts of which hardly any occurs twice


@dataclass(frozen=True)
class PartitionedRows:
    """Rows sorted by time, and where in them each partition of time begins and ends."""

    rows: pa.Table
    times_us: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    values: list[dict[str, str]]


def partition_rows(rows: pa.Table, layout: TableLayout) -> PartitionedRows:
    """Sort the rows by the table's time (equal times keep their order) and find the runs of one partition each."""
    times_us = rows[layout.time_column].cast(pa.int64()).to_numpy()
    if np.any(times_us[1:] < times_us[:-1]):
        order = np.argsort(times_us, kind="stable")
        rows, times_us = _take(rows, order), times_us[order]
    cells = times_us.astype("datetime64[us]").astype(f"datetime64[{_NUMPY_UNITS[layout.partition_by[-1]]}]")
    starts = np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1]) if len(cells) else np.empty(0, np.int64)
    ends = np.append(starts[1:], len(cells)) if len(starts) else starts
    values = [dict(zip(layout.partition_by, str(cells[start]).replace("T", "-").split("-"), strict=True)) for start in starts]
    return PartitionedRows(rows.combine_chunks(), times_us, starts, ends, values)


def _take(rows: pa.Table, order: np.ndarray) -> pa.Table:
    """The rows in this order; most columns of an event are empty, and an empty one is the same in any order."""
    taken = pa.array(order)
    return pa.table(
        [column if column.null_count == len(column) else column.combine_chunks().take(taken) for column in rows.columns], schema=rows.schema
    )


def write_files(store: obstore.store.ObjectStore, rows: pa.Table, layout: TableLayout, batch: int) -> list[AddAction]:
    """Write the rows, one file a partition of time; the files are nobody's until a commit names them."""
    if not len(rows):
        return []
    parted = partition_rows(rows, layout)
    token = uuid.uuid4().hex
    actions = []
    for start, end, values, stats in zip(parted.starts, parted.ends, parted.values, _describe_files(parted, layout), strict=True):
        folder = "/".join(f"{name}={value}" for name, value in values.items())
        path = f"{folder}/part-{batch:08d}-{token}.parquet"
        content = encode_parquet(parted.rows.slice(start, end - start), layout)
        obstore.put(store, path, content)
        actions.append(AddAction(path, len(content), values, int(time.time() * 1000), data_change=True, stats=stats))
    return actions


def encode_parquet(rows: pa.Table, layout: TableLayout) -> bytes:
    """One Parquet file; where it is large enough for them to pay, with ZSTD, dictionaries of the texts and the statistics of the log."""
    buffer = pa.BufferOutputStream()
    if len(rows) < _SMALL_FILE_ROWS:
        pq.write_table(rows, buffer, compression="snappy", use_dictionary=False, write_statistics=False, store_schema=False)
    else:
        pq.write_table(
            rows,
            buffer,
            compression="zstd",
            use_dictionary=[field.name for field in rows.schema if pa.types.is_string(field.type) and field.name not in _SINGULAR],
            write_statistics=list(layout.stats_columns),
            store_schema=False,
        )
    return cast("bytes", buffer.getvalue().to_pybytes())


def _describe_files(parted: PartitionedRows, layout: TableLayout) -> Iterator[str]:
    """The log's statistics of each file (Delta protocol, per-file statistics), as JSON."""
    least: dict[str, list[object]] = {}
    greatest: dict[str, list[object]] = {}
    for name in layout.stats_columns:
        if name == layout.time_column:
            least[name] = _format_times(parted.times_us[parted.starts])
            greatest[name] = _format_times(parted.times_us[parted.ends - 1])
        else:
            numbers = parted.rows[name].to_numpy()
            least[name] = np.minimum.reduceat(numbers, parted.starts).tolist()
            greatest[name] = np.maximum.reduceat(numbers, parted.starts).tolist()
    no_nulls = dict.fromkeys(layout.stats_columns, 0)
    for index, count in enumerate((parted.ends - parted.starts).tolist()):
        yield json.dumps({
            "numRecords": count,
            "minValues": {name: column[index] for name, column in least.items()},
            "maxValues": {name: column[index] for name, column in greatest.items()},
            "nullCount": no_nulls,
        })  # fmt: skip


def _format_times(times_us: np.ndarray) -> list[object]:
    return [f"{text}Z" for text in np.datetime_as_string(times_us.astype("datetime64[us]"), unit="us")]
