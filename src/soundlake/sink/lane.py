"""One topic's way into bronze: gather, judge, commit what is rejected, commit the events, let the broker's offset follow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa

from soundlake.broker.protocol import Broker, OffsetRange
from soundlake.contract import Topic
from soundlake.contract.decode import Decoded, decode_records
from soundlake.errors import LogRemade, LogReplaced, OffsetGap, SoundlakeError, TopicMissing, Unavailable
from soundlake.lake import NO_POSITION, EventTable, Move, Refused, make_app_id
from soundlake.sink.announcements import announce_rejected
from soundlake.sink.batch import Batch, OpenBatch
from soundlake.sink.models import LARGEST_BATCH_BYTES, Checkpoint, SinkLimits, TopicReport
from soundlake.sink.observing import SinkObserver, describe_batch
from soundlake.sink.rejected import RejectedLog, coordinates
from soundlake.sink.rows import Origin, build_event_rows, build_rejected_rows

GROUP = "soundlake-sink"
"""The consumer group under which the broker remembers how far the sink is, for lag monitors."""

_REJECTED_ATTEMPTS = 20


class Lane:
    """Moves one topic into its table. Positions come from the table at the start, after that from its own commits."""

    def __init__(
        self,
        topic: Topic,
        report: TopicReport,
        *,
        broker: Broker,
        events: EventTable,
        rejected: RejectedLog,
        limits: SinkLimits,
        clock: Callable[[], datetime],
        checkpoint: Checkpoint,
        observer: SinkObserver,
    ) -> None:
        self.topic = topic
        self.report = report
        self._broker, self._events, self._rejected = broker, events, rejected
        self._limits, self._clock, self._checkpoint, self._observer = limits, clock, checkpoint, observer
        self._max_bytes = min(limits.max_bytes, LARGEST_BATCH_BYTES)
        self._log_id = broker.log_id(topic.name)
        self._positions: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._open = OpenBatch()
        self._standing: pa.Table | None = None
        self._generation = 0
        for partition, held in broker.offsets(topic.name).items():
            self._adopt(partition, held)

    def is_past(self, ends: dict[int, int]) -> bool:
        """Whether everything below these offsets is in bronze."""
        return not self._open.events and all(self._next.get(partition, 0) >= end for partition, end in ends.items())

    def step(self, now: float, *, hurry: bool) -> bool:
        """Fetch what is there and write a batch if it is full or old enough, or in a hurry; tells whether anything was done.

        Raises LogRemade once the topic is another one, TopicMissing once it is gone; what came from it before is written first.
        """
        try:
            came = self._gather(now)
        except (LogRemade, LogReplaced, OffsetGap, TopicMissing) as error:
            self._leave(error)
            raise
        is_old = now - self._open.begun >= self._limits.max_seconds
        if self._open.events and (hurry or is_old or self._room() == (0, 0)):
            self.write()
            return True
        return came

    def write(self) -> None:
        """Write what has been gathered, if anything, as one batch, and let the broker's offsets follow."""
        if self._open.events:
            last_offsets = self._store()
            self._broker.commit(GROUP, self.topic.name, {number: last + 1 for number, last in last_offsets.items()})
            self._checkpoint("offset_moved")

    def _leave(self, error: SoundlakeError) -> None:
        """Raise LogRemade if that is why the offsets do not fit; whatever the log it came from, what has been gathered is stored."""
        try:
            found = self._broker.log_id(self.topic.name)
        except TopicMissing:
            found = ""
        if found != self._log_id and self._open.events:
            self._store()
        if found not in ("", self._log_id):
            raise LogRemade(self.topic.name, self._log_id, found) from error

    def _store(self) -> dict[int, int]:
        """Commit what has been gathered; returns the last offset of each of its partitions."""
        begun, batch = time.monotonic(), self._open.close()
        decoded = decode_records(self.topic, batch.values, batch.timestamps_ms)
        decoded_at = time.monotonic()
        origin = Origin(self._log_id, self.topic.name, batch, self._clock())
        stood = self._write_rejected(batch, decoded, origin)
        self._checkpoint("rejected_committed")
        rows = build_event_rows(decoded, origin, stood)
        moves = [Move(self._app_id(number), self._positions[number], last) for number, last in batch.last_offsets.items()]
        self._events.append(rows, moves)
        self._checkpoint("events_committed")
        self._positions.update(batch.last_offsets)
        self._open = OpenBatch()
        self.report.events += len(rows)
        self.report.batches += 1
        steps = (begun, decoded_at, time.monotonic())
        told = describe_batch(self.topic.name, batch, decoded, events=len(rows), steps=steps, stored_at=self._clock())
        self._observer.batch_stored(told)
        return batch.last_offsets

    def _gather(self, now: float) -> bool:
        """Fetch until the batch is full or the log, as it was at the beginning, is read; partitions take even shares."""
        held = self._broker.offsets(self.topic.name)
        before = self._open.events
        for partition in held.keys() - self._next.keys():
            self._adopt(partition, held[partition])
        for partition, offset in self._next.items():
            held[partition].check(self.topic.name, partition, offset)
        self._observer.lag_seen(self.topic.name, {partition: self._count_waiting(partition, held[partition]) for partition in held})
        behind = [partition for partition in held if self._next[partition] < held[partition].end]
        while behind and self._room() != (0, 0):
            for index, partition in enumerate(behind):
                self._fetch(partition, len(behind) - index, now)
            behind = [partition for partition in behind if self._next[partition] < held[partition].end]
        return self._open.events > before

    def _fetch(self, partition: int, sharing: int, now: float) -> None:
        events, size = self._room()
        if events == 0:
            return
        limits = {"max_records": max(events // sharing, 1), "max_bytes": max(size // sharing, 1)}
        records = self._broker.fetch(self.topic.name, partition, self._next[partition], **limits)
        if records.log_id != self._log_id:
            raise LogRemade(self.topic.name, self._log_id, records.log_id)
        if len(records):
            self._open.add(records, now)
            self._next[partition] = records.offsets[-1].as_py() + 1

    def _room(self) -> tuple[int, int]:
        """How many events and bytes the open batch may still take; (0, 0) when it is full by either."""
        events, size = self._limits.max_events - self._open.events, self._max_bytes - self._open.bytes
        return (events, size) if events > 0 and size > 0 else (0, 0)

    def _write_rejected(self, batch: Batch, decoded: Decoded, origin: Origin) -> np.ndarray:
        """Commit and announce what is rejected; tells of each record whether it stood in bronze/rejected before."""
        for attempt in range(_REJECTED_ATTEMPTS):
            standing = self._read_standing()
            stood = batch.find(*coordinates(standing))
            rows = build_rejected_rows(decoded, batch, origin, stood)
            try:
                if len(rows):
                    self._rejected.append(rows, self._find_rejected_moves(rows))
            except Refused:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
                continue
            again = standing.filter(pa.array(batch.covers(*coordinates(standing))))
            announce_rejected(self._broker, pa.concat_tables([again, rows.select(again.column_names)]))
            self.report.rejected += len(rows)
            return stood
        raise Unavailable(
            f"{self.topic.name}: bronze/rejected refused {_REJECTED_ATTEMPTS} commits in a row", next_step="see who else writes it"
        )

    def _find_rejected_moves(self, rows: pa.Table) -> list[Move]:
        last = rows.group_by("_partition").aggregate([("_offset", "max")])
        pairs = zip(last["_partition"].to_pylist(), last["_offset_max"].to_pylist(), strict=True)
        return [Move(self._app_id(number), NO_POSITION, offset) for number, offset in pairs]

    def _read_standing(self) -> pa.Table:
        if self._standing is None or self._generation != self._rejected.generation:
            self._generation = self._rejected.generation
            self._standing = self._rejected.read_above(self._log_id, self.topic.name, self._positions)
        return self._standing

    def _adopt(self, partition: int, held: OffsetRange) -> None:
        position = self._events.position(self._app_id(partition))
        self._positions[partition] = position
        self._next[partition] = held.begin if position == NO_POSITION else position + 1

    def _count_waiting(self, partition: int, held: OffsetRange) -> int:
        position = self._positions[partition]
        return len(held) if position == NO_POSITION else held.end - 1 - position

    def _app_id(self, partition: int) -> str:
        return make_app_id(self._log_id, self.topic.name, partition)
