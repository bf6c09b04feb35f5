"""Erasing records of the embedded log: their bytes are gone, offsets and all other records stay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from soundlake.broker.embedded import EmbeddedBroker
from soundlake.contract import TOPICS

TOPIC = TOPICS[0].name


@pytest.fixture
def log(tmp_path) -> EmbeddedBroker:
    log = EmbeddedBroker(tmp_path / "broker.db")
    log.create_topics(TOPICS, partitions=1)
    yield log
    log.close()


def find_alice(keys: pa.Array, _values: pa.Array) -> np.ndarray:
    return pc.fill_null(pc.equal(keys, pa.scalar(b"alice-0815")), fill_value=False).to_numpy(zero_copy_only=False)


def append(log: EmbeddedBroker, *keys: bytes | None) -> None:
    log.append(TOPIC, list(keys), [None if key is None else b"value of " + key for key in keys])


def read(log: EmbeddedBroker, offset: int = 0, **limits: int) -> list[tuple[int, bytes | None, bytes | None]]:
    found = log.fetch(TOPIC, 0, offset, **{"max_records": 100, "max_bytes": 10_000, **limits})
    return list(zip(found.offsets.to_pylist(), found.keys.to_pylist(), found.values.to_pylist(), strict=True))


def holds(log: EmbeddedBroker, word: bytes) -> bool:
    folder = log._file.path.parent
    return any(word in path.read_bytes() for path in folder.iterdir())


def test_erased_records_leave_the_file_and_their_offsets_hold_none(log):
    append(log, b"bob", b"alice-0815", None)
    append(log, b"alice-0815")
    append(log, b"carl")
    assert holds(log, b"alice-0815")
    assert log.count(find_alice) == 2
    assert log.erase(find_alice) == 2
    assert not holds(log, b"alice-0815")
    assert read(log) == [(0, b"bob", b"value of bob"), (2, None, None), (4, b"carl", b"value of carl")]
    assert (len(log.offsets(TOPIC)[0]), log.erase(find_alice)) == (5, 0)


def test_what_was_trimmed_before_leaves_the_file_too(log):
    append(log, b"alice-0815")
    append(log, b"bob")
    log.trim(TOPIC, {0: 1})
    assert holds(log, b"alice-0815")
    assert log.erase(find_alice) == 0
    assert not holds(log, b"alice-0815")


def test_reading_passes_over_erased_records(log):
    append(log, *[b"alice-0815"] * 5, b"bob", b"alice-0815")
    log.erase(find_alice)
    assert [offset for offset, *_ in read(log, max_records=2)] == [5]
    end = log.fetch(TOPIC, 0, 6, max_records=1, max_bytes=1)
    assert (len(end), end.next_offset) == (0, 7)
    assert [len(found) for found in log.poll(TOPIC, {0: 0}, max_records=1, max_bytes=1)] == [1]


def test_another_process_reads_and_appends_meanwhile(log, tmp_path):
    other = EmbeddedBroker(tmp_path / "broker.db")
    append(log, b"alice-0815", b"bob")
    assert len(read(other)) == 2
    log.erase(find_alice)
    append(other, b"carl")
    assert [key for _, key, _ in read(log)] == [b"bob", b"carl"]
    other.close()
