"""Records of one partition as columns, with the offsets before, between and behind them that hold no record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from confluent_kafka import Message

from soundlake.broker.protocol import Records


class Chunk(NamedTuple):
    """Records from the offset `begin` up to, without, the offset `end`, in offset order; an offset may have no record."""

    begin: int
    end: int
    offsets: np.ndarray
    timestamps_ms: pa.Array
    keys: pa.Array
    values: pa.Array

    @property
    def has_gap(self) -> bool:
        """Whether offsets without a record are among these."""
        return self.end - self.begin > len(self.offsets)

    def split(self, count: int) -> tuple[Chunk, Chunk]:
        """The first `count` records, at least one, and the rest."""
        middle, (offsets, *columns) = int(self.offsets[count - 1]) + 1, self[2:]
        return (
            Chunk(self.begin, middle, offsets[:count], *(column.slice(0, count) for column in columns)),
            Chunk(middle, self.end, offsets[count:], *(column.slice(count) for column in columns)),
        )


def make_chunk(begin: int, messages: Sequence[Message]) -> Chunk:
    """The records as columns, `begin` being the offset that was next; the messages are in offset order."""
    offsets = np.array([message.offset() for message in messages], np.int64)
    return Chunk(
        begin,
        int(offsets[-1]) + 1,
        offsets,
        pa.array([timestamp_ms for _, timestamp_ms in map(Message.timestamp, messages)], pa.int64()),
        pa.array(list(map(Message.key, messages)), pa.binary()),
        pa.array(list(map(Message.value, messages)), pa.binary()),
    )


def make_empty_chunk(begin: int, end: int) -> Chunk:
    """Offsets that hold no record."""
    return Chunk(begin, end, np.empty(0, np.int64), pa.array([], pa.int64()), pa.array([], pa.binary()), pa.array([], pa.binary()))


def build_records(topic: str, partition: int, log_id: str, chunk: Chunk) -> Records:
    """The chunk as records of the log of that id."""
    return Records(topic, partition, log_id, pa.array(chunk.offsets), chunk.timestamps_ms, chunk.keys, chunk.values, chunk.end)


def join_runs(runs: list[Records]) -> Records:
    """Consecutive runs of one partition as one."""
    columns = zip(*((run.offsets, run.timestamps_ms, run.keys, run.values) for run in runs), strict=True)
    offsets, timestamps_ms, keys, values = map(pa.concat_arrays, columns)
    return Records(runs[0].topic, runs[0].partition, runs[0].log_id, offsets, timestamps_ms, keys, values, runs[-1].next_offset)
