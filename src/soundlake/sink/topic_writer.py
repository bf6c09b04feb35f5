"""Write the batches of one topic to bronze: commit the rejected records, commit the events, publish the broker's offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa

from soundlake.broker.protocol import Broker, Membership
from soundlake.errors import Unavailable
from soundlake.lake import NO_POSITION, BronzeTable, BronzeTables, Checkpoint, CommitConflict, Forgotten, PositionMove
from soundlake.retries import retry_policy
from soundlake.sink.announcements import announce_rejected
from soundlake.sink.batch import DecodedBatch
from soundlake.sink.bronze_rows import Origin, build_event_rows, build_rejected_rows
from soundlake.sink.forgotten_records import count_forgotten, find_forgotten
from soundlake.sink.models import TopicReport
from soundlake.sink.observer import SinkObserver, describe_batch
from soundlake.sink.rejected_table import RejectedTable, get_coordinates
from soundlake.sink.topic_reader import TopicReader

_REJECTED_ATTEMPTS = 20


class TopicWriter:
    """Stores the batches of one topic's reader, whose positions it moves with each commit."""

    def __init__(
        self,
        reader: TopicReader,
        report: TopicReport,
        *,
        broker: Broker,
        membership: Membership,
        tables: BronzeTables,
        events: BronzeTable,
        rejected: RejectedTable,
        clock: Callable[[], datetime],
        checkpoint: Checkpoint,
        observer: SinkObserver,
    ) -> None:
        self.reader = reader
        self.report = report
        self._broker, self._membership, self._tables = broker, membership, tables
        self._events, self._rejected = events, rejected
        self._clock, self._checkpoint, self._observer = clock, checkpoint, observer
        self._already_rejected: pa.Table | None = None
        self._generation = 0

    def store(self, batch: DecodedBatch) -> None:
        """Commit a batch, then publish the broker's offsets."""
        with self._tables.begin_write() as forgotten:
            self._write(batch, forgotten)
        if batch.is_log_gone:
            return
        self._membership.commit(self.reader.topic.name, {number: last + 1 for number, last in batch.batch.last_offsets.items()})
        self._checkpoint("offset_moved")

    def _write(self, batch: DecodedBatch, forgotten: Forgotten) -> None:
        begun, positions, last_offsets = time.monotonic(), self.reader.positions, batch.batch.last_offsets
        origin = Origin(self.reader.log_id, self.reader.topic.name, batch.batch, self._clock())
        of_forgotten = find_forgotten(batch, forgotten)
        already_rejected = self._write_rejected(batch, origin, of_forgotten)
        self._checkpoint("rejected_committed")
        rows = build_event_rows(batch.decoded, origin, already_rejected | of_forgotten)
        dropped = count_forgotten(batch.batch, of_forgotten & ~already_rejected)
        moves = [
            PositionMove(
                self.reader.make_app_id(number), positions[number], last, (*batch.batch.missing.get(number, ()), *dropped.get(number, ()))
            )
            for number, last in last_offsets.items()
        ]
        self._events.append(rows, moves)
        self._checkpoint("events_committed")
        positions.update(last_offsets)
        self.report.events += len(rows)
        self.report.batches += 1
        self.report.forgotten += sum(missing.count for counts in dropped.values() for missing in counts)
        commit_seconds = time.monotonic() - begun
        self._observer.record_batch(describe_batch(batch, events=len(rows), commit_seconds=commit_seconds, stored_at=self._clock()))

    def _write_rejected(self, batch: DecodedBatch, origin: Origin, of_forgotten: np.ndarray) -> np.ndarray:
        """Commit and announce what is rejected and of no forgotten listener; returns a mask of what bronze/rejected held before."""
        policy = retry_policy(first_wait_seconds=0.02, longest_wait_seconds=1.28, stop=_REJECTED_ATTEMPTS, on=CommitConflict)
        try:
            return policy(self._try_to_write_rejected, batch, origin, of_forgotten)
        except CommitConflict as cause:
            raise Unavailable(
                f"{self.reader.topic.name}: {_REJECTED_ATTEMPTS} commits to bronze/rejected in a row conflicted with other writers",
                next_step="find out who else writes it",
            ) from cause

    def _try_to_write_rejected(self, batch: DecodedBatch, origin: Origin, of_forgotten: np.ndarray) -> np.ndarray:
        earlier = self._read_already_rejected()
        already_rejected = batch.batch.find(*get_coordinates(earlier))
        rows = build_rejected_rows(batch.decoded, batch.batch, origin, already_rejected | of_forgotten)
        if len(rows):
            self._rejected.append(rows, self._build_rejected_moves(rows))
        unannounced = earlier.filter(pa.array(batch.batch.covers(*get_coordinates(earlier))))
        announce_rejected(self._broker, pa.concat_tables([unannounced, rows.select(unannounced.column_names)]))
        self.report.rejected += len(rows)
        return already_rejected

    def _build_rejected_moves(self, rows: pa.Table) -> list[PositionMove]:
        last = rows.group_by("_partition").aggregate([("_offset", "max")])
        pairs = zip(last["_partition"].to_pylist(), last["_offset_max"].to_pylist(), strict=True)
        return [PositionMove(self.reader.make_app_id(number), NO_POSITION, offset) for number, offset in pairs]

    def _read_already_rejected(self) -> pa.Table:
        """The topic's rows of bronze/rejected above its positions, read again after another writer's commit."""
        if self._already_rejected is None or self._generation != self._rejected.generation:
            self._generation = self._rejected.generation
            self._already_rejected = self._rejected.read_above(self.reader.log_id, self.reader.topic.name, dict(self.reader.positions))
        return self._already_rejected
