"""The partition of a key: murmur2 as in Kafka's Java client, so that a key has the same partition on every broker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_M = np.uint32(0x5BD1E995)
_SEED = np.uint32(0x9747B28C)
_POSITIVE = np.uint32(0x7FFFFFFF)

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint32]


def assign_partitions(keys: pa.Array, partitions: int, *, without_key: int) -> npt.NDArray[np.int64]:
    """The partition of each key (binary); a null key goes to `without_key`. Each distinct key is hashed once."""
    encoded = keys.dictionary_encode()
    distinct = (hash_murmur2(encoded.dictionary) & _POSITIVE) % np.uint32(partitions)
    of_key = np.append(distinct.astype(np.int64), without_key % partitions)
    assigned: npt.NDArray[np.int64] = of_key[pc.fill_null(encoded.indices, len(distinct)).to_numpy()]
    return assigned


def hash_murmur2(keys: pa.Array) -> Hashes:
    """The 32-bit murmur2 of each key (binary, none null), as in Kafka's `org.apache.kafka.common.utils.Utils.murmur2`."""
    hashes = np.zeros(len(keys), np.uint32)
    lengths = pc.binary_length(keys).to_numpy(zero_copy_only=False)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        joined = b"".join(keys.take(pa.array(rows)).to_pylist())
        hashes[rows] = _hash_equal_lengths(np.frombuffer(joined, np.uint8).reshape(len(rows), int(length)))
    return hashes


def _hash_equal_lengths(keys: Bytes) -> Hashes:
    """Hash keys of equal length, one row of bytes each; unsigned 32-bit overflow is part of the algorithm."""
    length = keys.shape[1]
    whole = length - length % 4
    hashes = np.full(len(keys), _SEED ^ np.uint32(length), np.uint32)
    for word in np.ascontiguousarray(keys[:, :whole]).view("<u4").T:
        mixed = word * _M
        mixed ^= mixed >> np.uint32(24)
        hashes = hashes * _M ^ mixed * _M
    if whole < length:
        for position in range(whole, length):
            hashes ^= keys[:, position].astype(np.uint32) << np.uint32(8 * (position - whole))
        hashes *= _M
    hashes ^= hashes >> np.uint32(13)
    hashes *= _M
    return hashes ^ hashes >> np.uint32(15)
