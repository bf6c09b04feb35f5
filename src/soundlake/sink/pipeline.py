"""The reading half of the sink: read, decode and hand out batches of all topics, ahead of storing, in the order in which they close."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from soundlake.broker.protocol import Assignment
from soundlake.contract.framed_records import Decode
from soundlake.errors import DataError, SoundlakeError, TopicRecreated, UsageError
from soundlake.sink.batch import ClosedBatch, DecodedBatch
from soundlake.sink.topic_reader import TopicReader

Item = TypeVar("Item")

_LONGEST_IDLE_SECONDS = 0.1
_DRAINING_IDLE_SECONDS = 0.005


class BatchPipeline:
    """Reads until it is stopped, the assignment is revoked or the time is over (`deadline` of `time.monotonic`).

    With `until_drained` it ends once all that the log held at the beginning has been read. A topic whose data does not allow to continue
    is stopped (`TopicReader.stopped_by`), and the others are read on. `recheck_seconds` later the pipeline ends, to be opened again from
    the positions in the lake: the cause may be fixed by then. It ends at once when every topic is stopped.
    """

    def __init__(
        self,
        readers: Sequence[TopicReader],
        assignment: Assignment,
        stop: threading.Event,
        deadline: float | None,
        *,
        decode: Decode,
        until_drained: bool,
        idle_seconds: float,
        recheck_seconds: float,
    ) -> None:
        self._readers, self._assignment, self._stop, self._deadline = readers, assignment, stop, deadline
        self._decode = decode
        self._end_offsets = {reader: reader.fetch_end_offsets() for reader in readers} if until_drained else {}
        self._idle_seconds = _DRAINING_IDLE_SECONDS if until_drained else min(idle_seconds, _LONGEST_IDLE_SECONDS)
        self._recheck_seconds, self._recheck_at = math.inf if until_drained else recheck_seconds, math.inf
        self._closed = threading.Event()

    @property
    def is_recheck_due(self) -> bool:
        """Whether a topic has been stopped for `recheck_seconds`."""
        return time.monotonic() >= self._recheck_at

    @contextmanager
    def run(self) -> Iterator[Iterator[DecodedBatch]]:
        """Iterate over the batches. While one is stored, one thread decodes the next and another reads the one after: three in memory.

        An error of a reader or of decoding is raised after all batches that were read before it. Leaving the block ends the threads.
        """
        with ThreadPoolExecutor(1, "sink-reader") as reader, ThreadPoolExecutor(1, "sink-decoder") as decoder:
            try:
                yield _prefetch((batch.decode(self._decode) for batch in _prefetch(self._read(), reader)), decoder)
            finally:
                self._closed.set()

    def _read(self) -> Iterator[ClosedBatch]:
        while not self._is_over():
            has_read = False
            for reader in self._list_active():
                try:
                    has_read |= reader.read(time.monotonic())
                except (TopicRecreated, DataError, UsageError) as error:  # UsageError: missing, or without a partition that it had
                    yield from self._fail_topic(reader, error)
                if reader.is_full(time.monotonic()) or (reader.has_records and self._is_drained(reader)):
                    yield reader.close_batch()
            if all(map(self._is_drained, self._list_active())):  # also if every topic is stopped
                return
            if not has_read:
                self._stop.wait(self._idle_seconds)
        for reader in self._list_active():
            if reader.has_records:
                yield reader.close_batch()

    def _list_active(self) -> list[TopicReader]:
        return [reader for reader in self._readers if reader.stopped_by is None]

    def _fail_topic(self, reader: TopicReader, error: SoundlakeError) -> Iterator[ClosedBatch]:
        """Hand out what was read, then stop the topic.

        Raises TopicRecreated if the topic has another log now, and the error itself if it is none of the data.
        """
        log_id = reader.find_current_log_id()
        is_log_gone = log_id != reader.log_id
        if reader.has_records:
            yield reader.close_batch(is_log_gone=is_log_gone)
        if log_id and is_log_gone:
            raise TopicRecreated(reader.topic.name, reader.log_id, log_id) from error
        if not isinstance(error, DataError):
            raise error
        reader.stop(error)
        self._recheck_at = min(self._recheck_at, time.monotonic() + self._recheck_seconds)

    def _is_over(self) -> bool:
        return (
            self._stop.is_set()
            or self._assignment.revoked.is_set()
            or self._closed.is_set()
            or self.is_recheck_due
            or (self._deadline is not None and time.monotonic() >= self._deadline)
        )

    def _is_drained(self, reader: TopicReader) -> bool:
        return reader in self._end_offsets and reader.has_read_to(self._end_offsets[reader])


def _prefetch(items: Iterator[Item], thread: ThreadPoolExecutor) -> Iterator[Item]:
    """The same items, each made on the thread while the one before it is in use."""
    following = thread.submit(next, items, None)
    while (item := following.result()) is not None:
        following = thread.submit(next, items, None)
        yield item
