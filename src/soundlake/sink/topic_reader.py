"""One topic's way out of the log: what arrives is gathered in offset order until a limit closes the batch."""

from __future__ import annotations

import time
from collections.abc import Callable

from soundlake.broker.protocol import Assignment, Broker, OffsetRange
from soundlake.contract import Topic
from soundlake.errors import LogRemade, TopicMissing
from soundlake.lake import NO_POSITION, DeltaBronzeTable, make_position_app_id
from soundlake.sink.batch import ClosedBatch, OpenBatch
from soundlake.sink.models import LARGEST_BATCH_BYTES, SinkLimits
from soundlake.sink.observer import SinkObserver

_LOOK_SECONDS = 1.0


class TopicReader:
    """Reads the share's partitions of a topic from the positions of its table on, ahead of its storing: `positions` is moved by who stores.

    Every second it looks how far the log reaches, which partitions it has and whether it still is the same one.
    """

    def __init__(
        self,
        topic: Topic,
        share: Assignment,
        *,
        broker: Broker,
        open_table: Callable[[], DeltaBronzeTable],
        limits: SinkLimits,
        observer: SinkObserver,
    ) -> None:
        self.topic, self._share = topic, share
        self.log_id = broker.log_id(topic.name)
        self.positions: dict[int, int] = {}
        self._broker, self._open_table, self._limits, self._observer = broker, open_table, limits, observer
        self._max_bytes = min(limits.max_bytes, LARGEST_BATCH_BYTES)
        self._next: dict[int, int] = {}
        self._open = OpenBatch()
        self._look(time.monotonic())

    def name_position(self, partition: int) -> str:
        """The name under which the table keeps the position of a partition."""
        return make_position_app_id(self.log_id, self.topic.name, partition)

    def read_ends(self) -> dict[int, int]:
        """Where each partition ends now."""
        return {partition: held.end for partition, held in self._read_offsets().items()}

    def is_past(self, ends: dict[int, int]) -> bool:
        """Whether everything below these offsets has been gathered."""
        return all(self._next.get(partition, 0) >= end for partition, end in ends.items())

    @property
    def has_records(self) -> bool:
        """Whether there is something to be closed."""
        return self._open.events > 0

    def is_full(self, now: float) -> bool:
        """Whether the batch is to be closed, by its events, its bytes or its age."""
        return self.has_records and (self._room() == (0, 0) or now - self._open.begun >= self._limits.max_seconds)

    def gather(self, now: float) -> bool:
        """Take what has arrived until the batch is full or nothing more is there; tells whether there was anything.

        Raises LogRemade once the topic is another one, OffsetGap or LogReplaced if the log does not hold what comes next.
        """
        if now - self._looked >= _LOOK_SECONDS:
            self._look(now)
        before = self._open.events
        while self._next and not self.is_full(time.monotonic()) and self._poll(now):
            pass
        return self._open.events > before

    def close(self, *, is_log_gone: bool = False) -> ClosedBatch:
        """What has been gathered as a batch."""
        batch = self._open.close()
        self._open = OpenBatch()
        return ClosedBatch(self.topic, batch, is_log_gone)

    def find_log(self) -> str:
        """The id of the log that is there now, empty if there is none."""
        try:
            return self._broker.log_id(self.topic.name)
        except TopicMissing:
            return ""

    def _poll(self, now: float) -> bool:
        max_records, max_bytes = self._room()
        runs = self._broker.poll(self.topic.name, self._next, max_records=max_records, max_bytes=max_bytes)
        for records in runs:
            self._check_log(records.log_id)
            self._open.add(records, now)
            self._next[records.partition] = records.offsets[-1].as_py() + 1
        return bool(runs)

    def _look(self, now: float) -> None:
        held = self._read_offsets()
        self._check_log(self._broker.log_id(self.topic.name))
        self._adopt({partition: found for partition, found in held.items() if partition not in self._next})
        for partition, offset in self._next.items():
            held[partition].check(self.topic.name, partition, offset)
        self._observer.record_lag(self.topic.name, {partition: self._count_waiting(partition, found) for partition, found in held.items()})
        self._looked = now

    def _read_offsets(self) -> dict[int, OffsetRange]:
        held = self._broker.offsets(self.topic.name)
        return {partition: found for partition, found in held.items() if self._share.covers(self.topic.name, partition)}

    def _adopt(self, new: dict[int, OffsetRange]) -> None:
        """Begin with these partitions where the table ends."""
        if not new:
            return
        table = self._open_table()
        for partition, held in new.items():
            self.positions[partition] = table.read_position(self.name_position(partition))
            self._next[partition] = held.begin if self.positions[partition] == NO_POSITION else self.positions[partition] + 1

    def _check_log(self, found: str) -> None:
        if found != self.log_id:
            raise LogRemade(self.topic.name, self.log_id, found)

    def _room(self) -> tuple[int, int]:
        """How many events and bytes the open batch may still take; (0, 0) when it is full by either."""
        events, size = self._limits.max_events - self._open.events, self._max_bytes - self._open.bytes
        return (events, size) if events > 0 and size > 0 else (0, 0)

    def _count_waiting(self, partition: int, held: OffsetRange) -> int:
        position = self.positions[partition]
        return len(held) if position == NO_POSITION else held.end - 1 - position
