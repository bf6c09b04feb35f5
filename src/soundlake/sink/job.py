"""The sink: broker → bronze, every record once, whatever is killed when (docs/decisions/0001 tells why)."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from soundlake.broker.protocol import Assignment, Broker, Membership, read_utc_now
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic
from soundlake.contract.topics import DLQ
from soundlake.errors import PositionMoved, Retryable, TopicMissing
from soundlake.lake import Lake
from soundlake.sink.membership import SoleMembership
from soundlake.sink.models import Checkpoint, SinkLimits, SinkReport, TopicReport
from soundlake.sink.observer import NoOpObserver, SinkObserver
from soundlake.sink.outage_retries import Patience
from soundlake.sink.pipeline import BatchPipeline
from soundlake.sink.rejected_table import RejectedTable
from soundlake.sink.topic_reader import TopicReader
from soundlake.sink.topic_writer import TopicWriter

log = logging.getLogger(__name__)

_CONTENDED_SECONDS = 1.0


@dataclass(frozen=True)
class _Run:
    """What one run was asked for, and what becomes of it."""

    report: SinkReport
    membership: Membership
    stop: threading.Event
    deadline: float | None
    on_progress: Callable[[int], None] | None
    until_drained: bool


class Sink:
    """Moves topics into their bronze tables. `checkpoint` is told each point that a batch passes (models.CHECKPOINTS).

    `join` finds it a place among the sinks that share the partitions. Without, and to drain, it takes all of them, and stops where another
    one stores the same.
    """

    def __init__(
        self,
        broker: Broker,
        lake: Lake,
        limits: SinkLimits,
        *,
        clock: Callable[[], datetime] = read_utc_now,
        topics: Sequence[Topic] = TOPICS,
        checkpoint: Checkpoint = lambda _: None,
        observer: SinkObserver | None = None,
        join: Callable[[], Membership] | None = None,
    ) -> None:
        self._broker, self._lake, self._limits = broker, lake, limits
        self._clock, self._topics, self._checkpoint = clock, topics, checkpoint
        self._observer, self._join = observer or NoOpObserver(), join
        self._has_begun = False

    def run(
        self,
        *,
        until_drained: bool = False,
        stop: threading.Event | None = None,
        for_seconds: float | None = None,
        on_progress: Callable[[int], None] | None = None,
        retry_seconds: float = 0.0,
    ) -> SinkReport:
        """Run until told to stop, until the time is over, or until all is stored that the log held at the beginning.

        Whatever ends it in order, or takes partitions from it, the batch in hand is written first. `on_progress` is told after
        each batch how many records are done. What may pass (a Retryable: the log or the store does not answer; a topic that is
        gone) is waited out for `retry_seconds`, all positions are then read from bronze again. Raises OffsetGap, LogReplaced,
        PositionMoved, TopicMissing, or what did not pass in time; a new run goes on where bronze ends.
        """
        stop = stop or threading.Event()
        report = SinkReport({topic.name: TopicReport() for topic in self._topics})
        deadline = None if for_seconds is None else time.monotonic() + for_seconds
        patience = Patience(retry_seconds, stop)
        with closing(SoleMembership(self._broker) if self._join is None or until_drained else self._join()) as membership:
            run = _Run(report, membership, stop, deadline, on_progress, until_drained)
            while True:
                try:
                    self._run_shares(run)
                except (Retryable, TopicMissing) as error:
                    if isinstance(error, TopicMissing) and not self._has_begun:
                        raise
                    self._observer.record_error(error)
                    patience.wait(error, report.batches)
                    if not stop.is_set():
                        continue
                return report

    def _run_shares(self, run: _Run) -> None:
        """One share after another, until something else than a change of shares ends it."""
        self._broker.create_topics([DLQ], partitions=1)  # says at once if something is wrong with the log
        while True:
            with run.membership.hold(run.stop, run.deadline) as share:
                if share is None:
                    return
                try:
                    self._run_lanes(run, share)
                except PositionMoved as error:
                    if share.partitions is None:
                        raise
                    # It was held for too long, or somebody outside of the group drains the log, who ends by himself.
                    log.warning("%s: another sink moved %s, positions are read anew", error.table, error.partition)
                    run.stop.wait(random.uniform(0, _CONTENDED_SECONDS))
                    continue
                if not share.revoked.is_set():
                    return

    def _run_lanes(self, run: _Run, share: Assignment) -> None:
        lanes = self._open_lanes(run, share)
        self._has_begun = True
        nap = self._limits.max_seconds / 4
        intakes = [lane.intake for lane in lanes.values()]
        reading = BatchPipeline(intakes, share, run.stop, run.deadline, until_drained=run.until_drained, nap=nap)
        with reading.ahead() as batches:
            for decoded_batch in batches:
                lanes[decoded_batch.topic].store(decoded_batch)
                if run.on_progress is not None:
                    run.on_progress(run.report.events + run.report.rejected)

    def _open_lanes(self, run: _Run, share: Assignment) -> dict[str, TopicWriter]:
        rejected = RejectedTable(self._lake.open_table(REJECTED_TABLE, self._checkpoint))
        return {topic.name: self._open_lane(topic, run, share, rejected) for topic in self._topics}

    def _open_lane(self, topic: Topic, run: _Run, share: Assignment, rejected: RejectedTable) -> TopicWriter:
        intake = TopicReader(
            topic,
            share,
            broker=self._broker,
            open_table=lambda: self._lake.open_table(topic.table),
            limits=self._limits,
            observer=self._observer,
        )
        return TopicWriter(
            intake,
            run.report.topics[topic.name],
            broker=self._broker,
            membership=run.membership,
            events=self._lake.open_table(topic.table, self._checkpoint),
            rejected=rejected,
            clock=self._clock,
            checkpoint=self._checkpoint,
            observer=self._observer,
        )
