"""Keys are hashed as Kafka's Java client hashes them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundlake.broker.partitioner import assign_partitions, hash_murmur2

# org.apache.kafka.common.utils.UtilsTest#testMurmur2
KAFKA_S_OWN_CASES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def hash_one(key: bytes) -> int:
    """The algorithm as it is written down, byte by byte."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) - len(key) % 4
    for place in range(0, whole, 4):
        k = int.from_bytes(key[place : place + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


@pytest.mark.parametrize(("key", "expected"), KAFKA_S_OWN_CASES.items(), ids=lambda value: str(value)[:20])
def test_kafka_s_own_cases_hold(key, expected):
    assert hash_murmur2(pa.array([key], pa.binary())).view(np.int32).tolist() == [expected]


@given(st.lists(st.binary(max_size=21), max_size=30))
def test_many_keys_at_once_are_hashed_as_one_by_one(keys):
    assert hash_murmur2(pa.array(keys, pa.binary())).tolist() == [hash_one(key) for key in keys]


@given(st.lists(st.none() | st.binary(max_size=3), max_size=30), st.integers(1, 7), st.integers(0, 100))
def test_each_row_gets_the_partition_of_its_own_key(keys, partitions, without_key):
    expected = [without_key % partitions if key is None else (hash_one(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert assign_partitions(pa.array(keys, pa.binary()), partitions, without_key=without_key).tolist() == expected


def test_ten_thousand_listeners_spread_evenly():
    keys = pa.array([b"listener-%05d" % n for n in range(10_000)], pa.binary())
    counts = np.bincount(assign_partitions(keys, 4, without_key=0), minlength=4)
    assert counts.min() > 2300
    assert counts.max() < 2700
