"""Erase single records of the embedded log: their bytes leave the file, their offsets stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from soundlake.broker.embedded.record_batches import Batch, Column, erase_rows, unpack_batch
from soundlake.broker.embedded.sqlite_file import LogFile

Find = Callable[[pa.Array, pa.Array], npt.NDArray[np.bool_]]

_SELECT = """
    select partition_id, base_offset, records, timestamp_ms, key_lengths, key_bytes, value_lengths, value_bytes from batches
    where (partition_id, base_offset) > (?, ?) order by partition_id, base_offset limit 32
"""
_UPDATE = """
    update batches set key_lengths = ?, key_bytes = ?, value_lengths = ?, value_bytes = ? where partition_id = ? and base_offset = ?
"""


def count_records(file: LogFile, find: Find) -> int:
    """The number of records that `find` chooses."""
    return sum(int(_find(batch, find).sum()) for _, batch in _list_batches(file))


def erase_records(file: LogFile, find: Find) -> int:
    """Erase the records that `find` chooses, batch by batch, then write the file again; returns how many."""
    erased = 0
    for partition_id, batch in _list_batches(file):
        mask = _find(batch, find)
        if mask.any():
            keys, values = erase_rows(batch.keys, mask), erase_rows(batch.values, mask)
            with file.write() as db:
                db.execute(_UPDATE, (*keys, *values, partition_id, batch.base_offset))
            erased += int(mask.sum())
    file.purge()
    return erased


def _find(batch: Batch, find: Find) -> npt.NDArray[np.bool_]:
    return find(*unpack_batch(batch))


def _list_batches(file: LogFile) -> Iterator[tuple[int, Batch]]:
    """All batches, each with its partition; none is held open while one is in use."""
    after = (-1, -1)
    while True:
        with file.read() as db:
            rows = db.execute(_SELECT, after).fetchall()
        for partition_id, base, records, timestamp_ms, key_lengths, key_bytes, value_lengths, value_bytes in rows:
            yield partition_id, Batch(base, records, timestamp_ms, Column(key_lengths, key_bytes), Column(value_lengths, value_bytes))
            after = (partition_id, base)
        if not rows:
            return
