"""Read one topic from the log: collect records in offset order until a limit closes the batch."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from soundlake.broker.protocol import Assignment, Broker, OffsetRange
from soundlake.contract import Topic
from soundlake.errors import DataError, PositionMoved, TopicMissing, TopicRecreated
from soundlake.lake import NO_POSITION, BronzeTable, PositionMove, make_begin_app_id, make_position_app_id, read_next_offset
from soundlake.sink.batch import ClosedBatch, OpenBatch
from soundlake.sink.bronze_rows import EVENT_ROWS
from soundlake.sink.models import LARGEST_BATCH_BYTES, SinkLimits
from soundlake.sink.observer import SinkObserver

log = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0


class TopicReader:
    """Reads the assigned partitions of a topic from the positions in its table on, ahead of what is stored.

    `positions` is read from the table once for each partition and then updated by the topic's writer. `stopped_by` is why it reads no more.
    Every second the reader checks the offsets and partitions of the log, that it still is the same log, and that it is not compacted.
    """

    def __init__(
        self,
        topic: Topic,
        assignment: Assignment,
        *,
        broker: Broker,
        open_table: Callable[[], BronzeTable],
        limits: SinkLimits,
        observer: SinkObserver,
    ) -> None:
        self.topic, self._assignment = topic, assignment
        self.log_id = broker.log_id(topic.name)
        self.positions: dict[int, int] = {}
        self.stopped_by: DataError | None = None
        self._broker, self._open_table, self._limits, self._observer = broker, open_table, limits, observer
        self._max_bytes = min(limits.max_bytes, LARGEST_BATCH_BYTES)
        self._next_offsets: dict[int, int] = {}
        self._open = OpenBatch()
        self._checked_at = -math.inf

    def make_app_id(self, partition: int) -> str:
        """The application transaction under which the table keeps the position of a partition."""
        return make_position_app_id(self.log_id, self.topic.name, partition)

    def fetch_end_offsets(self) -> dict[int, int]:
        """The end offset of each assigned partition now."""
        return {partition: held.end for partition, held in self._fetch_offsets().items()}

    def has_read_to(self, end_offsets: dict[int, int]) -> bool:
        """Whether all records below these offsets have been read."""
        return all(self._next_offsets.get(partition, 0) >= end for partition, end in end_offsets.items())

    @property
    def has_checked_log(self) -> bool:
        """Whether the log has allowed to read at least once."""
        return self._checked_at > -math.inf

    @property
    def has_records(self) -> bool:
        """Whether the open batch has records, or offsets that hold none."""
        return bool(self._open.runs)

    def is_full(self, now: float) -> bool:
        """Whether the open batch has reached its limit of events, bytes or age."""
        return self.has_records and (self._get_capacity() == (0, 0) or now - self._open.begun >= self._limits.max_seconds)

    def read(self, now: float) -> bool:
        """Add what has arrived to the open batch, until it is full or nothing is left; returns whether there was anything.

        Raises TopicRecreated if the topic has another log now, a DataError if the log does not allow to continue (see `check_log`).
        """
        if now - self._checked_at >= _CHECK_SECONDS:
            self.check_log(now)
        before = len(self._open.runs)
        while self._next_offsets and not self.is_full(time.monotonic()) and self._poll(now):
            pass
        return len(self._open.runs) > before

    def check_log(self, now: float) -> None:
        """Add new partitions, and report the lag. Raises TopicRecreated, OffsetGap, LogReplaced or TopicCompacted."""
        offsets = self._fetch_offsets()
        self._check_log_id(self._broker.log_id(self.topic.name))
        self._add_partitions({partition: held for partition, held in offsets.items() if partition not in self._next_offsets})
        self._observer.record_lag(self.topic.name, {partition: self._count_lag(partition, held) for partition, held in offsets.items()})
        self._broker.check_deletes_by_age(self.topic.name)
        for partition, held in offsets.items():
            held.check(self.topic.name, partition, self._next_offsets[partition])
        self._observer.record_stopped(self.topic.name, is_stopped=False)
        self._checked_at = now

    def stop(self, error: DataError) -> None:
        """Read no more, because of this error."""
        self.stopped_by = error
        log.error("%s is stopped, the other topics continue: %s", self.topic.name, error)
        self._observer.record_stopped(self.topic.name, is_stopped=True)

    def close_batch(self, *, is_log_gone: bool = False) -> ClosedBatch:
        """Close the open batch and begin another one."""
        batch = self._open.close()
        self._open = OpenBatch()
        return ClosedBatch(self.topic, batch, is_log_gone)

    def find_current_log_id(self) -> str:
        """The id of the topic's log now, empty if there is no such topic."""
        try:
            return self._broker.log_id(self.topic.name)
        except TopicMissing:
            return ""

    def _poll(self, now: float) -> bool:
        max_records, max_bytes = self._get_capacity()
        runs = self._broker.poll(self.topic.name, self._next_offsets, max_records=max_records, max_bytes=max_bytes)
        for records in runs:
            self._check_log_id(records.log_id)
            self._open.add(records, self._next_offsets[records.partition], now)
            self._next_offsets[records.partition] = records.next_offset
        return bool(runs)

    def _fetch_offsets(self) -> dict[int, OffsetRange]:
        offsets = self._broker.offsets(self.topic.name)
        return {partition: held for partition, held in offsets.items() if self._assignment.covers(self.topic.name, partition)}

    def _add_partitions(self, new: dict[int, OffsetRange]) -> None:
        """Start each new partition at the next offset of the table.

        Of one that has no position yet the table keeps where it begins, so that records deleted before the first one is stored are missed.
        """
        if not new:
            return
        table, first_seen = self._open_table(), []
        for partition, held in new.items():
            app_id = self.make_app_id(partition)
            position = self.positions[partition] = table.read_position(app_id)
            self._next_offsets[partition] = read_next_offset(table, app_id, held.begin)
            begin_id = make_begin_app_id(app_id)
            if position == NO_POSITION == table.read_position(begin_id):
                first_seen.append(PositionMove(begin_id, NO_POSITION, held.begin))
        if first_seen:
            try:
                table.append(EVENT_ROWS.empty_table(), first_seen)
            except PositionMoved:  # another sink has stored where they begin, which is as good
                self._add_partitions(new)

    def _check_log_id(self, found: str) -> None:
        if found != self.log_id:
            raise TopicRecreated(self.topic.name, self.log_id, found)

    def _get_capacity(self) -> tuple[int, int]:
        """How many more events and bytes the open batch may take; (0, 0) if it has reached either limit."""
        events, size = self._limits.max_events - self._open.events, self._max_bytes - self._open.bytes
        return (events, size) if events > 0 and size > 0 else (0, 0)

    def _count_lag(self, partition: int, held: OffsetRange) -> int:
        position = self.positions[partition]
        return len(held) if position == NO_POSITION else max(held.end - 1 - position, 0)
