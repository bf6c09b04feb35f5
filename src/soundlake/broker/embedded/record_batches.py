"""The storage format of records: those of one append in one partition are one row of lengths and joined bytes.

Kafka stores batches too. Compared with one row a record, this appends three times and fetches ten times as fast (bench/broker.py),
because the only work per record is joining bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.broker.protocol import Records

_NULL = -1
_ERASED = -2
"""The length of a key and a value that were erased: their offset holds no record."""


class Column(NamedTuple):
    """Keys or values of a batch: little-endian int32 lengths (-1: null, -2: erased) and the joined bytes."""

    lengths: bytes
    data: bytes | memoryview


class Batch(NamedTuple):
    """One row of the file: records of one partition with consecutive offsets and one timestamp."""

    base_offset: int
    records: int
    timestamp_ms: int
    keys: Column
    values: Column


def measure_lengths(array: pa.Array, null: int = 0) -> npt.NDArray[np.int64]:
    """The length in bytes of each value of a large_binary array, `null` for a missing value."""
    lengths: npt.NDArray[np.int64] = pc.fill_null(pc.binary_length(array), null).to_numpy()
    return lengths


def pack_column(array: pa.Array) -> Column:
    """The storage form of a large_binary array; its bytes are not copied."""
    present = array.drop_null()
    _, offsets, data = present.buffers()
    bounds = np.frombuffer(offsets, np.int64)[present.offset :] if len(present) else (0, 0)
    return Column(measure_lengths(array, _NULL).astype("<i4").tobytes(), memoryview(data or b"")[bounds[0] : bounds[len(present)]])


def unpack(topic: str, partition: int, log_id: str, batches: list[Batch], offset: int, *, max_records: int, max_bytes: int) -> Records:
    """The records of consecutive batches from `offset` on, within the limits; none if all of these are erased."""
    first = batches[0].base_offset if batches else offset
    lengths = _read_lengths(batch.values for batch in batches)
    ends = np.cumsum(np.maximum(lengths, 0), dtype=np.int64)
    start = min(offset - first, len(lengths))
    stop = start + _count_within(ends[start : start + max_records], max_bytes + (int(ends[start - 1]) if start else 0))
    counts = [batch.records for batch in batches]
    times = np.repeat(np.array([batch.timestamp_ms for batch in batches], np.int64), counts)
    columns = {
        "offsets": pa.array(np.arange(first + start, first + stop, dtype=np.int64)),
        "timestamps_ms": pa.array(times[start:stop]),
        "keys": _unpack_column([batch.keys for batch in batches], start, stop),
        "values": _unpack_column([batch.values for batch in batches], start, stop),
    }
    is_held = lengths[start:stop] != _ERASED
    if not is_held.all():
        columns = {name: column.filter(pa.array(is_held)) for name, column in columns.items()}
    return Records(topic, partition, log_id, **columns, next_offset=first + stop)


def unpack_batch(batch: Batch) -> tuple[pa.Array, pa.Array]:
    """The keys and values of a batch, null also where they were erased."""
    return _unpack_column([batch.keys], 0, batch.records), _unpack_column([batch.values], 0, batch.records)


def erase_rows(column: Column, is_erased: npt.NDArray[np.bool_]) -> Column:
    """The column without the bytes of these rows."""
    lengths = _read_lengths([column]).copy()
    bounds = np.concatenate(([0], np.cumsum(np.maximum(lengths, 0), dtype=np.int64)))
    data = b"".join(column.data[bounds[row] : bounds[row + 1]] for row in np.flatnonzero(~is_erased))
    lengths[is_erased] = _ERASED
    return Column(lengths.astype("<i4").tobytes(), data)


def _count_within(ends: npt.NDArray[np.int64], limit: int) -> int:
    return max(int(np.searchsorted(ends, limit, side="right")), min(len(ends), 1))


def _read_lengths(columns: Iterable[Column]) -> npt.NDArray[np.int32]:
    return np.frombuffer(b"".join(column.lengths for column in columns), "<i4").astype(np.int32, copy=False)


def _unpack_column(columns: list[Column], start: int, stop: int) -> pa.Array:
    """A binary array over the joined bytes; they are not copied again."""
    lengths = _read_lengths(columns)
    bounds = np.concatenate(([0], np.cumsum(np.maximum(lengths, 0), dtype=np.int64)))[start : stop + 1]
    data = memoryview(b"".join(column.data for column in columns))[bounds[0] : bounds[-1]]
    valid = lengths[start:stop] >= 0
    bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(
        pa.binary(), stop - start, [bitmap, pa.py_buffer((bounds - bounds[0]).astype(np.int32)), pa.py_buffer(data)]
    )
