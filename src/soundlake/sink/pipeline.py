"""The reading half of the sink: batches of all topics in the order in which they close, read and decoded_batch while others are stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from soundlake.broker.protocol import Assignment
from soundlake.errors import LogRemade, LogReplaced, OffsetGap, SoundlakeError, TopicMissing
from soundlake.sink.batch import ClosedBatch, DecodedBatch
from soundlake.sink.topic_reader import TopicReader

Item = TypeVar("Item")

_LONGEST_NAP_SECONDS = 0.1
_DRAINING_NAP_SECONDS = 0.005


class BatchPipeline:
    """Reads until it is stopped, the share or the time (`deadline` of `time.monotonic`) is over, or, to drain, past what there is now."""

    def __init__(
        self,
        intakes: Sequence[TopicReader],
        share: Assignment,
        stop: threading.Event,
        deadline: float | None,
        *,
        until_drained: bool,
        nap: float,
    ) -> None:
        self._intakes, self._share, self._stop, self._deadline = intakes, share, stop, deadline
        self._ends = {intake: intake.read_ends() for intake in intakes} if until_drained else {}
        self._nap_seconds = _DRAINING_NAP_SECONDS if until_drained else min(nap, _LONGEST_NAP_SECONDS)
        self._left = threading.Event()

    @contextmanager
    def ahead(self) -> Iterator[Iterator[DecodedBatch]]:
        """The batches. While one is in use, a thread judges the next and another reads the one after it: three are in memory, no more.

        What ends the reading is raised when all that was read before has been handed out; to leave the block ends the reading.
        """
        with ThreadPoolExecutor(1, "reading") as reader, ThreadPoolExecutor(1, "judging") as decode:
            try:
                yield _hand_out(map(ClosedBatch.decode, _hand_out(self._read(), reader)), decode)
            finally:
                self._left.set()

    def _read(self) -> Iterator[ClosedBatch]:
        while not self._is_over():
            came = False
            for intake in self._intakes:
                try:
                    came |= intake.gather(time.monotonic())
                except (LogRemade, LogReplaced, OffsetGap, TopicMissing) as error:
                    yield from _leave(intake, error)
                if intake.is_full(time.monotonic()) or (intake.has_records and self._is_drained(intake)):
                    yield intake.close()
            if all(map(self._is_drained, self._intakes)):
                return
            if not came:
                self._stop.wait(self._nap_seconds)
        for intake in self._intakes:
            if intake.has_records:
                yield intake.close()

    def _is_over(self) -> bool:
        return (
            self._stop.is_set()
            or self._share.revoked.is_set()
            or self._left.is_set()
            or (self._deadline is not None and time.monotonic() >= self._deadline)
        )

    def _is_drained(self, intake: TopicReader) -> bool:
        return intake in self._ends and intake.is_past(self._ends[intake])


def _hand_out(batches: Iterator[Item], thread: ThreadPoolExecutor) -> Iterator[Item]:
    """The same ones, each made on the thread while the one before it is in use."""
    coming = thread.submit(next, batches, None)
    while (found := coming.result()) is not None:
        coming = thread.submit(next, batches, None)
        yield found


def _leave(intake: TopicReader, error: SoundlakeError) -> Iterator[ClosedBatch]:
    """Raise LogRemade if that is why the offsets do not fit; what came from the log that is gone is handed out before."""
    found = intake.find_log()
    if found != intake.log_id and intake.has_records:
        yield intake.close(is_log_gone=True)
    if found not in ("", intake.log_id):
        raise LogRemade(intake.topic.name, intake.log_id, found) from error
    raise error
