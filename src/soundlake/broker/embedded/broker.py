"""An event log in one SQLite file, shared by the processes of one machine."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from soundlake.broker.embedded.erasure import Find, count_records, erase_records
from soundlake.broker.embedded.record_batches import Batch, Column, measure_lengths, pack_column, unpack
from soundlake.broker.embedded.sqlite_errors import CommitUnsure
from soundlake.broker.embedded.sqlite_file import LogFile
from soundlake.broker.local_polling import poll_by_fetching
from soundlake.broker.partitioner import assign_partitions
from soundlake.broker.protocol import Clock, Delivery, OffsetRange, Records, read_utc_now, to_epoch_ms
from soundlake.broker.validation import MAX_RECORD_BYTES, check_partition_count, check_partitions_exist, check_same_length, find_too_large
from soundlake.contract import Topic
from soundlake.errors import SoundlakeError

MAX_TRANSACTION_RECORDS = 10_000
"""A larger append is committed in several transactions."""

_MAX_TRANSACTION_BYTES = 32 * MAX_RECORD_BYTES
_MAX_FETCH_BYTES = 512 * MAX_RECORD_BYTES  # Arrow counts the bytes of a binary column in 31 bits

_SELECT_BATCHES = """
    select base_offset, records, timestamp_ms, key_lengths, key_bytes, value_lengths, value_bytes from batches
    where partition_id = :id
      and base_offset >= (select max(base_offset) from batches where partition_id = :id and base_offset <= :offset)
    order by base_offset
"""


class EmbeddedBroker:
    """Broker on one SQLite file (WAL, synchronous full), shared by processes; one object may serve several threads, not a fork."""

    preferred_append_records = MAX_TRANSACTION_RECORDS  # one transaction: a retry repeats all of it or nothing

    def __init__(self, path: Path, clock: Clock = read_utc_now) -> None:
        self._file = LogFile(path)
        self._clock = clock
        self._ids: dict[str, list[int]] = {}
        self._appends = itertools.count()

    def create_topics(self, topics: Sequence[Topic], *, partitions: int) -> None:
        """Create the topics that do not exist."""
        check_partition_count(partitions)
        with self._file.write() as db:
            known = {name for (name,) in db.execute("select distinct topic from partitions")}
            new = [(topic.name, number) for topic in topics if topic.name not in known for number in range(partitions)]
            db.executemany("insert into partitions (topic, partition) values (?, ?)", new)

    def log_id(self, topic: str) -> str:
        """The random id of the file; a topic cannot be deleted without its file."""
        self._find(topic)
        return self._file.log_id

    def partitions(self, topic: str) -> list[int]:
        """The partitions of the topic, ascending."""
        return list(range(len(self._find(topic))))

    def offsets(self, topic: str) -> dict[int, OffsetRange]:
        """The offsets that each partition holds now."""
        self._find(topic)
        with self._file.read() as db:
            rows = db.execute("select partition, begin_offset, end_offset from partitions where topic = ? order by partition", (topic,))
            return {number: OffsetRange(begin, end) for number, begin, end in rows}

    def count_held_back(self, topic: str) -> dict[int, int]:
        """Nothing: this log has no transactions."""
        self._find(topic)
        return {}

    def check_deletes_by_age(self, topic: str) -> None:
        """Nothing to refuse: this log deletes only when it is trimmed."""
        self._find(topic)

    def append(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Delivery:
        """Append records in transactions of at most 10,000, synced to disk when it returns.

        Raises Unavailable if nothing was appended; if a later transaction fails, its records are failed in the Delivery.
        """
        check_same_length(keys, values)
        ids = self._find(topic)
        columns = pa.record_batch({"key": pa.array(keys, pa.large_binary()), "value": pa.array(values, pa.large_binary())})
        sizes = measure_lengths(columns["key"]) + measure_lengths(columns["value"])
        failed, unsure = find_too_large(sizes), dict[int, str]()
        parts = list(_split(np.setdiff1d(np.arange(len(values)), list(failed)), sizes))
        for index, rows in enumerate(parts):
            try:
                self._append_rows(ids, columns.take(pa.array(rows)))
            except CommitUnsure as error:
                unsure = _give_reason(parts[index : index + 1], error.message)
                failed |= _give_reason(parts[index + 1 :], f"not tried after the disk of {self._file.path} failed")
                break
            except SoundlakeError as error:
                if index == 0:
                    raise
                failed |= _give_reason(parts[index:], error.message)
                break
        return Delivery(len(values), failed, unsure)

    def fetch(self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int) -> Records:
        """The records from `offset` on."""
        partition_id = self._find(topic, partition)[partition]
        max_bytes = min(max_bytes, _MAX_FETCH_BYTES)
        while True:
            with self._file.read() as db:
                held = _read_range(db, partition_id)
                held.check(topic, partition, offset)
                rows = db.execute(_SELECT_BATCHES, {"id": partition_id, "offset": offset})
                batches = _take_batches(rows, offset, max_records, max_bytes)
            found = unpack(topic, partition, self._file.log_id, batches, offset, max_records=max_records, max_bytes=max_bytes)
            if len(found) or found.next_offset >= held.end:
                return found
            offset = found.next_offset  # only erased records so far

    def poll(self, topic: str, offsets: Mapping[int, int], *, max_records: int, max_bytes: int) -> list[Records]:
        """The records of these partitions, each from its offset on."""
        return poll_by_fetching(self, topic, offsets, max_records=max_records, max_bytes=max_bytes)

    def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records below an offset of each partition; the file reuses their space and does not shrink."""
        ids = self._find(topic, *before)
        with self._file.write() as db:
            for number, offset in before.items():
                held = _read_range(db, ids[number])
                begin = min(max(offset, held.begin), held.end)
                db.execute("update partitions set begin_offset = ? where id = ?", (begin, ids[number]))
                db.execute("delete from batches where partition_id = ? and base_offset + records <= ?", (ids[number], begin))

    def count(self, find: Find) -> int:
        """The number of records that `find` (keys and values to a mask) chooses."""
        return count_records(self._file, find)

    def erase(self, find: Find) -> int:
        """Erase the records that `find` (keys and values to a mask) chooses; returns how many. Their offsets hold no record from then on.

        At the end the file is written again, without what it held before; appends wait meanwhile. Raises Unavailable if readers hold
        the old pages for 30 s.
        """
        return erase_records(self._file, find)

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:  # noqa: ARG002  # nothing outside reads this file
        """Only checks the partitions: no lag monitor reads the embedded log."""
        self._find(topic, *offsets)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _find(self, topic: str, *numbers: int) -> list[int]:
        """The row ids of the topic's partitions, by number; they never change."""
        if topic not in self._ids:
            with self._file.read() as db:
                ids = [row[0] for row in db.execute("select id from partitions where topic = ? order by partition", (topic,))]
            check_partitions_exist(topic, len(ids))
            self._ids[topic] = ids
        check_partitions_exist(topic, len(self._ids[topic]), numbers)
        return self._ids[topic]

    def _append_rows(self, ids: list[int], rows: pa.RecordBatch) -> None:
        """Append in one transaction, a batch for each partition. Batches are packed before the file is locked."""
        batches = list(_pack(ids, rows, without_key=next(self._appends)))
        with self._file.write() as db:
            now_ms = to_epoch_ms(self._clock())
            for partition_id, records, keys, values in batches:
                base = _read_range(db, partition_id).end
                db.execute("insert into batches values (?, ?, ?, ?, ?, ?, ?, ?)", (partition_id, base, records, now_ms, *keys, *values))
                db.execute("update partitions set end_offset = ? where id = ?", (base + records, partition_id))


def _pack(ids: list[int], rows: pa.RecordBatch, *, without_key: int) -> Iterator[tuple[int, int, Column, Column]]:
    numbers = assign_partitions(rows["key"], len(ids), without_key=without_key)
    for number in np.unique(numbers):
        own = rows.take(pa.array(np.flatnonzero(numbers == number)))
        yield ids[number], len(own), pack_column(own["key"]), pack_column(own["value"])


def _split(rows: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Runs of at most 10,000 rows and 32 MiB."""
    ends = np.cumsum(sizes[rows])
    start = 0
    while start < len(rows):
        limit = _MAX_TRANSACTION_BYTES + (ends[start - 1] if start else 0)
        stop = min(start + MAX_TRANSACTION_RECORDS, int(np.searchsorted(ends, limit, side="right")))
        yield rows[start:stop]
        start = stop


def _give_reason(parts: list[npt.NDArray[np.int64]], reason: str) -> dict[int, str]:
    return {row: reason for part in parts for row in part.tolist()}


def _read_range(db: sqlite3.Connection, partition_id: int) -> OffsetRange:
    return OffsetRange(*db.execute("select begin_offset, end_offset from partitions where id = ?", (partition_id,)).fetchone())


def _take_batches(rows: sqlite3.Cursor, offset: int, max_records: int, max_bytes: int) -> list[Batch]:
    """The next batches, as many as the limits need."""
    batches = []
    found_bytes = 0
    for base, records, timestamp_ms, key_lengths, key_bytes, value_lengths, value_bytes in rows:
        batches.append(Batch(base, records, timestamp_ms, Column(key_lengths, key_bytes), Column(value_lengths, value_bytes)))
        found_bytes += len(key_bytes) + len(value_bytes)
        if base + records - offset >= max_records or found_bytes >= max_bytes:
            break
    return batches
