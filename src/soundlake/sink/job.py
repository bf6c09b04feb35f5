"""The sink: event log → bronze, each record once, whatever fails (docs/decisions/0001)."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from soundlake.broker.protocol import Assignment, Broker, Membership, read_utc_now
from soundlake.contract import REJECTED_TABLE, TOPICS, Topic, decode_records
from soundlake.contract.framed_records import Decode
from soundlake.contract.topics import DLQ
from soundlake.errors import DataError, PositionMoved, Retryable, TopicMissing, TopicRecreated
from soundlake.lake import BronzeTables, Checkpoint, ignore_checkpoint
from soundlake.sink.membership import SoleMembership
from soundlake.sink.models import SinkLimits, SinkReport, TopicReport
from soundlake.sink.observer import NoOpObserver, SinkObserver
from soundlake.sink.outage_retries import retry_outages
from soundlake.sink.pipeline import BatchPipeline
from soundlake.sink.rejected_table import RejectedTable
from soundlake.sink.topic_reader import TopicReader
from soundlake.sink.topic_writer import TopicWriter

log = logging.getLogger(__name__)

RECHECK_SECONDS = 60.0
"""How long a topic is stopped before the sink looks whether it can continue."""

_LONGEST_CONTENTION_SECONDS = 1.0


@dataclass(frozen=True)
class _Run:
    """The arguments of one run, its report, and the topics that are stopped."""

    report: SinkReport
    membership: Membership
    stop: threading.Event
    deadline: float | None
    on_progress: Callable[[int], None] | None
    until_drained: bool
    stopped: dict[str, DataError] = field(default_factory=dict)

    def note_stopped(self, readers: Iterable[TopicReader]) -> None:
        """Keep what stops each topic. One that was not reached before the end is as it was."""
        for reader in readers:
            if reader.stopped_by is not None:
                self.stopped[reader.topic.name] = reader.stopped_by
            elif reader.has_checked_log:
                self.stopped.pop(reader.topic.name, None)


class Sink:
    """Moves topics into their bronze tables. `checkpoint` is called with the name of each point that a batch passes (models.CHECKPOINTS).

    `join` makes it a member of the consumer group whose sinks share the partitions. Without it, and to drain the log, it reads all
    partitions, and stops with PositionMoved if another sink stores the same ones. `inspect_log` is called before the first record is
    read, as soon as the log answers; a Retryable of it is retried like one of the log. So is one of `decode`: no record of it is stored.
    """

    def __init__(
        self,
        broker: Broker,
        tables: BronzeTables,
        limits: SinkLimits,
        *,
        clock: Callable[[], datetime] = read_utc_now,
        topics: Sequence[Topic] = TOPICS,
        checkpoint: Checkpoint = ignore_checkpoint,
        observer: SinkObserver | None = None,
        join: Callable[[], Membership] | None = None,
        inspect_log: Callable[[], None] = lambda: None,
        recheck_seconds: float = RECHECK_SECONDS,
        decode: Decode = decode_records,
    ) -> None:
        self._broker, self._tables, self._limits = broker, tables, limits
        self._clock, self._topics, self._checkpoint = clock, topics, checkpoint
        self._observer, self._join = observer or NoOpObserver(), join
        self._inspect_log, self._recheck_seconds, self._decode = inspect_log, recheck_seconds, decode
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
        """Run until `stop` is set, until the time is over, or until all that the log held at the beginning is stored.

        Before an orderly end, and before partitions are given up, the current batch is stored. `on_progress` is called after each batch
        with the number of records done. A Retryable, or a topic that disappears, is retried for `retry_seconds`, each time from the
        positions in bronze. Raises PositionMoved, TopicMissing, or the error that outlasted the retries; a new run resumes where bronze
        ends. A topic with an OffsetGap, LogReplaced or TopicCompacted is stopped while the others continue, and is looked at again every
        `recheck_seconds`. What stops it still is raised at the end, which also comes when every topic is stopped.
        """
        stop = stop or threading.Event()
        report = SinkReport({topic.name: TopicReport() for topic in self._topics})
        deadline = None if for_seconds is None else time.monotonic() + for_seconds
        policy = retry_outages(
            retry_seconds,
            stop,
            count_stored=lambda: report.batches,
            has_begun=lambda: self._has_begun,
            on_error=self._observer.record_error,
        )
        with closing(SoleMembership(self._broker) if self._join is None or until_drained else self._join()) as membership:
            run = _Run(report, membership, stop, deadline, on_progress, until_drained)
            try:
                policy(self._run_assignments, run)
            except (Retryable, TopicMissing) as error:
                if not (stop.is_set() and (retry_seconds or isinstance(error, TopicRecreated))):  # else it was stopped during an outage
                    raise
        if run.stopped:
            raise _join_errors(list(run.stopped.values()))
        return report

    def _run_assignments(self, run: _Run) -> None:
        """One assignment of partitions after another, until the run ends for another reason than a new assignment."""
        self._broker.create_topics([DLQ], partitions=1)  # fails at once if the log is not usable
        if not self._has_begun:
            self._inspect_log()
        while True:
            with run.membership.hold(run.stop, run.deadline) as assignment:
                if assignment is None:
                    return
                try:
                    is_recheck_due = self._run_topics(run, assignment)
                except PositionMoved as error:
                    if assignment.partitions is None:
                        raise
                    # It was suspended for too long, or a sink outside of the group drains the log and will end.
                    log.warning("%s: another sink moved %s, reading the positions again", error.table, error.partition)
                    run.stop.wait(random.uniform(0, _LONGEST_CONTENTION_SECONDS))
                    continue
                if not (assignment.revoked.is_set() or is_recheck_due):
                    return

    def _run_topics(self, run: _Run, assignment: Assignment) -> bool:
        """Read and store until the run or the assignment ends, or until a topic that is stopped is due to be looked at again (true)."""
        writers = self._open_writers(run, assignment)
        self._has_begun = True
        readers = [writer.reader for writer in writers.values()]
        pipeline = BatchPipeline(
            readers,
            assignment,
            run.stop,
            run.deadline,
            decode=self._decode,
            until_drained=run.until_drained,
            idle_seconds=self._limits.max_seconds / 4,
            recheck_seconds=self._recheck_seconds,
        )
        with pipeline.run() as batches:
            for batch in batches:
                writers[batch.topic].store(batch)
                if run.on_progress is not None:
                    run.on_progress(run.report.events + run.report.rejected)
        if run.until_drained:
            self._report_held_back(run.report)
        run.note_stopped(readers)
        return pipeline.is_recheck_due

    def _report_held_back(self, report: SinkReport) -> None:
        """Report and log what open transactions hold back: the log is drained without it."""
        for name, topic in report.topics.items():
            held_back = self._broker.count_held_back(name)
            topic.held_back = sum(held_back.values())
            for partition, count in held_back.items():
                log.warning("%s[%d]: an open transaction holds back %d offsets; they are read when it ends", name, partition, count)

    def _open_writers(self, run: _Run, assignment: Assignment) -> dict[str, TopicWriter]:
        rejected = RejectedTable(self._tables.open_table(REJECTED_TABLE, self._checkpoint))
        return {topic.name: self._open_writer(topic, run, assignment, rejected) for topic in self._topics}

    def _open_writer(self, topic: Topic, run: _Run, assignment: Assignment, rejected: RejectedTable) -> TopicWriter:
        reader = TopicReader(
            topic,
            assignment,
            broker=self._broker,
            open_table=lambda: self._tables.open_table(topic.table),
            limits=self._limits,
            observer=self._observer,
        )
        return TopicWriter(
            reader,
            run.report.topics[topic.name],
            broker=self._broker,
            membership=run.membership,
            tables=self._tables,
            events=self._tables.open_table(topic.table, self._checkpoint),
            rejected=rejected,
            clock=self._clock,
            checkpoint=self._checkpoint,
            observer=self._observer,
        )


def _join_errors(errors: Sequence[DataError]) -> DataError:
    """The only error, or one that names each."""
    if len(errors) == 1:
        return errors[0]
    texts = "\n".join(map(str, errors))
    return DataError(f"{len(errors)} topics are stopped:\n{texts}", next_step="docs/runbook.md#sinktopicstopped has the steps")
