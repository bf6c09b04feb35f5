"""The reading half of the sink: read, decode and hand out batches of all topics, ahead of storing, in the order in which they close."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from soundlake.broker.protocol import Assignment
from soundlake.contract.framed_records import Decode
from soundlake.errors import LogReplaced, OffsetGap, SoundlakeError, TopicMissing, TopicRecreated
from soundlake.sink.batch import ClosedBatch, DecodedBatch
from soundlake.sink.topic_reader import TopicReader

Item = TypeVar("Item")

_LONGEST_IDLE_SECONDS = 0.1
_DRAINING_IDLE_SECONDS = 0.005


class BatchPipeline:
    """Reads until it is stopped, the assignment is revoked or the time is over (`deadline` of `time.monotonic`).

    With `until_drained` it ends once all that the log held at the beginning has been read.
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
    ) -> None:
        self._readers, self._assignment, self._stop, self._deadline = readers, assignment, stop, deadline
        self._decode = decode
        self._end_offsets = {reader: reader.fetch_end_offsets() for reader in readers} if until_drained else {}
        self._idle_seconds = _DRAINING_IDLE_SECONDS if until_drained else min(idle_seconds, _LONGEST_IDLE_SECONDS)
        self._closed = threading.Event()

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
            for reader in self._readers:
                try:
                    has_read |= reader.read(time.monotonic())
                except (TopicRecreated, LogReplaced, OffsetGap, TopicMissing) as error:
                    yield from _fail_topic(reader, error)
                if reader.is_full(time.monotonic()) or (reader.has_records and self._is_drained(reader)):
                    yield reader.close_batch()
            if all(map(self._is_drained, self._readers)):
                return
            if not has_read:
                self._stop.wait(self._idle_seconds)
        for reader in self._readers:
            if reader.has_records:
                yield reader.close_batch()

    def _is_over(self) -> bool:
        return (
            self._stop.is_set()
            or self._assignment.revoked.is_set()
            or self._closed.is_set()
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


def _fail_topic(reader: TopicReader, error: SoundlakeError) -> Iterator[ClosedBatch]:
    """Hand out what was read from a log that is gone, then raise: TopicRecreated if the topic has another log now, else the error."""
    log_id = reader.find_current_log_id()
    if log_id != reader.log_id and reader.has_records:
        yield reader.close_batch(is_log_gone=True)
    if log_id not in ("", reader.log_id):
        raise TopicRecreated(reader.topic.name, reader.log_id, log_id) from error
    raise error
