"""Records of forgotten listeners in a batch: they go into no table and are counted with the position that passes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec
import numpy as np

from soundlake.lake import Forgotten, MissingKind, MissingOffsets
from soundlake.sink.batch import Batch, DecodedBatch


class _Named(msgspec.Struct):
    """What may be readable of a record that does not decode."""

    user_id: str | None = None
    source: str | None = None


def find_forgotten(batch: DecodedBatch, forgotten: Forgotten) -> np.ndarray:
    """A mask of the batch: the records of forgotten listeners. Of a record that does not decode, key and `user_id` name the owner."""
    mask = np.zeros(len(batch.batch), np.bool_)
    if not forgotten.hashes:
        return mask
    mask[batch.decoded.event_rows[forgotten.find(batch.decoded.events)]] = True
    for row in batch.decoded.rejected["row"].to_pylist():
        names = _read_names(batch.batch.keys[row].as_py(), batch.batch.values[row].as_py())
        mask[row] = any(forgotten.covers(user_id, source) for user_id, source in names)
    return mask


def count_forgotten(batch: Batch, mask: np.ndarray) -> dict[int, tuple[MissingOffsets, ...]]:
    """The records of the mask by partition, as offsets without a row."""
    counts: dict[int, tuple[MissingOffsets, ...]] = {}
    for number in np.unique(batch.partitions[mask]).tolist():
        offsets = batch.offsets[mask & (batch.partitions == number)]
        counts[number] = (MissingOffsets(MissingKind.FORGOTTEN, len(offsets), int(offsets.min())),)
    return counts


def _read_names(key: bytes | None, value: bytes | None) -> Iterator[tuple[str, str | None]]:
    named = _Named()
    with suppress(msgspec.DecodeError):
        named = msgspec.json.decode(value or b"", type=_Named)
    for user_id in (named.user_id, None if key is None else key.decode(errors="replace")):
        if user_id is not None:
            yield user_id, named.source
