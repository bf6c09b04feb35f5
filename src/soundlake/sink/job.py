"""The sink: broker → bronze, every record once, whatever is killed when (docs/decisions/0001 tells why)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from soundlake.broker.protocol import Broker, read_utc_now
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic
from soundlake.contract.topics import DLQ
from soundlake.errors import Retryable, TopicMissing
from soundlake.lake import Lake
from soundlake.sink.intake import Intake
from soundlake.sink.lane import Lane
from soundlake.sink.models import Checkpoint, SinkLimits, SinkReport, TopicReport
from soundlake.sink.observing import SinkObserver, Unobserved
from soundlake.sink.patience import Patience
from soundlake.sink.reading import Reading
from soundlake.sink.rejected import RejectedLog


class Sink:
    """Moves topics into their bronze tables. `checkpoint` is told each point that a batch passes (models.CHECKPOINTS)."""

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
    ) -> None:
        self._broker, self._lake, self._limits = broker, lake, limits
        self._clock, self._topics, self._checkpoint = clock, topics, checkpoint
        self._observer = observer or Unobserved()
        self._has_begun = False

    def run(
        self,
        *,
        until_drained: bool = False,
        stop: threading.Event | None = None,
        for_seconds: float | None = None,
        on_progress: Callable[[int], None] | None = None,
        patience_seconds: float = 0.0,
    ) -> SinkReport:
        """Run until told to stop, until the time is over, or until all is stored that the log held at the beginning.

        Whatever ends it in order, the batch in hand is written first. `on_progress` is told after each batch how many records
        are done. What may pass (a Retryable: the log or the store does not answer; a topic that is gone) is waited out for
        `patience_seconds`, all positions are then read from bronze again. Raises OffsetGap, LogReplaced, PositionMoved,
        TopicMissing, or what did not pass in time; a new run goes on where bronze ends.
        """
        stop = stop or threading.Event()
        report = SinkReport({topic.name: TopicReport() for topic in self._topics})
        deadline = None if for_seconds is None else time.monotonic() + for_seconds
        patience = Patience(patience_seconds, stop)
        while True:
            try:
                self._run_lanes(report, stop, deadline, on_progress, until_drained=until_drained)
            except (Retryable, TopicMissing) as error:
                if isinstance(error, TopicMissing) and not self._has_begun:
                    raise
                self._observer.error_met(error)
                patience.wait(error, report.batches)
                if not stop.is_set():
                    continue
            return report

    def _run_lanes(
        self,
        report: SinkReport,
        stop: threading.Event,
        deadline: float | None,
        on_progress: Callable[[int], None] | None,
        *,
        until_drained: bool,
    ) -> None:
        lanes = self._open_lanes(report)
        self._has_begun = True
        nap = self._limits.max_seconds / 4
        reading = Reading([lane.intake for lane in lanes.values()], stop, deadline, until_drained=until_drained, nap=nap)
        with reading.ahead() as batches:
            for judged in batches:
                lanes[judged.topic].store(judged)
                if on_progress is not None:
                    on_progress(report.events + report.rejected)

    def _open_lanes(self, report: SinkReport) -> dict[str, Lane]:
        self._broker.create_topics([DLQ], partitions=1)
        rejected = RejectedLog(self._lake.table(REJECTED_TABLE, self._checkpoint))
        lanes = [self._open_lane(topic, rejected, report.topics[topic.name]) for topic in self._topics]
        return {lane.intake.topic.name: lane for lane in lanes}

    def _open_lane(self, topic: Topic, rejected: RejectedLog, report: TopicReport) -> Lane:
        intake = Intake(
            topic,
            broker=self._broker,
            open_table=lambda: self._lake.table(topic.table),
            limits=self._limits,
            observer=self._observer,
        )
        return Lane(
            intake,
            report,
            broker=self._broker,
            events=self._lake.table(topic.table, self._checkpoint),
            rejected=rejected,
            clock=self._clock,
            checkpoint=self._checkpoint,
            observer=self._observer,
        )
