"""One topic's way into bronze: commit what is rejected, commit the events, let the broker's offset follow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa

from soundlake.broker.protocol import Broker, Membership
from soundlake.contract.decode import Decoded
from soundlake.errors import Unavailable
from soundlake.lake import NO_POSITION, CommitConflict, DeltaBronzeTable, PositionMove
from soundlake.sink.announcements import announce_rejected
from soundlake.sink.batch import Batch, DecodedBatch
from soundlake.sink.bronze_rows import Origin, build_event_rows, build_rejected_rows
from soundlake.sink.models import Checkpoint, TopicReport
from soundlake.sink.observer import SinkObserver, describe_batch
from soundlake.sink.rejected_table import RejectedTable, coordinates
from soundlake.sink.topic_reader import TopicReader

_REJECTED_ATTEMPTS = 20


class TopicWriter:
    """Stores what one topic's intake reads. Positions come from the table at the start, after that from its own commits."""

    def __init__(
        self,
        intake: TopicReader,
        report: TopicReport,
        *,
        broker: Broker,
        membership: Membership,
        events: DeltaBronzeTable,
        rejected: RejectedTable,
        clock: Callable[[], datetime],
        checkpoint: Checkpoint,
        observer: SinkObserver,
    ) -> None:
        self.intake = intake
        self.report = report
        self._broker, self._membership, self._events, self._rejected = broker, membership, events, rejected
        self._clock, self._checkpoint, self._observer = clock, checkpoint, observer
        self._standing: pa.Table | None = None
        self._generation = 0

    def store(self, decoded_batch: DecodedBatch) -> None:
        """Commit a batch, and let the broker's offsets follow."""
        last_offsets = self._store(decoded_batch)
        if decoded_batch.is_log_gone:
            return
        self._membership.commit(self.intake.topic.name, {number: last + 1 for number, last in last_offsets.items()})
        self._checkpoint("offset_moved")

    def _store(self, decoded_batch: DecodedBatch) -> dict[int, int]:
        """Commit the batch; returns the last offset of each of its partitions."""
        begun, batch, positions = time.monotonic(), decoded_batch.batch, self.intake.positions
        origin = Origin(self.intake.log_id, self.intake.topic.name, batch, self._clock())
        stood = self._write_rejected(batch, decoded_batch.decoded, origin)
        self._checkpoint("rejected_committed")
        rows = build_event_rows(decoded_batch.decoded, origin, stood)
        name = self.intake.name_position
        self._events.append(rows, [PositionMove(name(number), positions[number], last) for number, last in batch.last_offsets.items()])
        self._checkpoint("events_committed")
        positions.update(batch.last_offsets)
        self.report.events += len(rows)
        self.report.batches += 1
        told = describe_batch(decoded_batch, events=len(rows), commit_seconds=time.monotonic() - begun, stored_at=self._clock())
        self._observer.record_batch(told)
        return batch.last_offsets

    def _write_rejected(self, batch: Batch, decoded: Decoded, origin: Origin) -> np.ndarray:
        """Commit and announce what is rejected; tells of each record whether it stood in bronze/rejected before."""
        for attempt in range(_REJECTED_ATTEMPTS):
            standing = self._read_standing()
            stood = batch.find(*coordinates(standing))
            rows = build_rejected_rows(decoded, batch, origin, stood)
            try:
                if len(rows):
                    self._rejected.append(rows, self._find_rejected_moves(rows))
            except CommitConflict:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
                continue
            again = standing.filter(pa.array(batch.covers(*coordinates(standing))))
            announce_rejected(self._broker, pa.concat_tables([again, rows.select(again.column_names)]))
            self.report.rejected += len(rows)
            return stood
        raise Unavailable(
            f"{self.intake.topic.name}: bronze/rejected refused {_REJECTED_ATTEMPTS} commits in a row", next_step="see who else writes it"
        )

    def _find_rejected_moves(self, rows: pa.Table) -> list[PositionMove]:
        last = rows.group_by("_partition").aggregate([("_offset", "max")])
        pairs = zip(last["_partition"].to_pylist(), last["_offset_max"].to_pylist(), strict=True)
        return [PositionMove(self.intake.name_position(number), NO_POSITION, offset) for number, offset in pairs]

    def _read_standing(self) -> pa.Table:
        if self._standing is None or self._generation != self._rejected.generation:
            self._generation = self._rejected.generation
            self._standing = self._rejected.read_above(self.intake.log_id, self.intake.topic.name, dict(self.intake.positions))
        return self._standing
