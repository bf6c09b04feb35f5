"""Every metric of the road into the lake, once: a class for each kind of work, which a process makes upon its registry and calls.

Dashboards, alerts and their tests go by these names; those of what reads the log and the lake are in readers.py. Labels come from short,
fixed lists (topics, partitions, reasons, kinds of errors): a label that anybody could fill would be a leak of memory. A series begins at 0,
or now, with its process: an `increase` does not see the first failure of one that appears with it, nor an alarm one that never appears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from time import time
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from soundlake.contract import TOPICS
from soundlake.contract.reference_decoder import REJECTION_REASONS
from soundlake.errors import Retryable, TopicMissing
from soundlake.telemetry.bulk_histogram import BulkHistogram

if TYPE_CHECKING:
    from soundlake.broker import PublishReport
    from soundlake.lake import Compaction
    from soundlake.sink import StoredBatch

DELAY_SECONDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0)
STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROUND_SECONDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0)
BATCH_RECORDS = (1, 10, 100, 1_000, 5_000, 10_000, 50_000, 100_000, 200_000, 500_000)
REFUSED_BY_IMPORT = "refused_by_import"
"""Stands for whatever reasons importers have of their own."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time of birth beside each series doubles them, and nobody asks


class ProcessMetrics:
    """Of every process."""

    def __init__(self, registry: CollectorRegistry, service: str, version: str) -> None:
        info = Gauge("soundlake_process_info", "1; which program this is", ["program", "version"], registry=registry)
        info.labels(service, version).set(1)
        self._errors = Counter(
            "soundlake_errors_total", "Errors met and survived, by kind; what ends a process is in its log", ["kind"], registry=registry
        )
        self._lines = Counter("soundlake_log_lines_total", "Lines logged at warning and above", ["level"], registry=registry)
        for kind in _list_survivable():
            self._errors.labels(kind)
        for level in ("warning", "error", "critical"):
            self._lines.labels(level)

    def record_error(self, error: Exception) -> None:
        """Something went wrong, and the process goes on."""
        self._errors.labels(type(error).__name__).inc()

    def line_logged(self, level: str) -> None:
        """A line was logged."""
        self._lines.labels(level).inc()


class PublishMetrics:
    """Of what offers events to the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "soundlake_published_events_total",
            "Events offered to the log, by fate: acknowledged, failed, unsure",
            ["fate"],
            registry=registry,
        )
        self._seconds = Histogram(
            "soundlake_publish_seconds", "Time to publish one table of events", buckets=STEP_SECONDS, registry=registry
        )
        for fate in ("acknowledged", "failed", "unsure"):
            self._events.labels(fate)

    def published(self, account: PublishReport, seconds: float) -> None:
        """A table of events has been offered."""
        self._events.labels("acknowledged").inc(account.acknowledged)
        self._events.labels("failed").inc(account.failed)
        self._events.labels("unsure").inc(account.unsure)
        self._seconds.observe(seconds)


class FeedMetrics:
    """Of the live generator."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._until = Gauge(
            "soundlake_feed_progress_timestamp_seconds", "How far the made-up world is told, in its own time", registry=registry
        )

    def progress_made(self, moment: datetime | None) -> None:
        """Everything before that moment is published."""
        if moment is not None:
            self._until.set(moment.timestamp())


class SinkMetrics:
    """Of the sink; what `sink.SinkObserver` asks for."""

    def __init__(self, registry: CollectorRegistry, process: ProcessMetrics) -> None:
        self._process = process

        def count(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(f"soundlake_sink_{name}", documentation, labels, registry=registry)

        def measure(name: str, documentation: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"soundlake_sink_{name}", documentation, ["topic"], buckets=buckets, registry=registry)

        self._consumed = count("consumed_records_total", "Records taken out of the log and stored", "topic")
        self._bytes = count("consumed_bytes_total", "Bytes of the values of these records", "topic")
        self._committed = count("committed_events_total", "Rows committed to the topic's table", "topic")
        self._rejected = count("rejected_records_total", "Records judged to be no events, kept in bronze/rejected", "topic", "reason")
        self._batch = measure("batch_records", "Records of one batch", BATCH_RECORDS)
        self._decode = measure("decode_seconds", "Time to decode and validate one batch", STEP_SECONDS)
        self._commit = measure("commit_seconds", "Time to write and commit one batch, to both tables", STEP_SECONDS)
        self._delay = BulkHistogram(
            "soundlake_sink_delay_seconds", "From a record's time in the log to the commit that made it visible", "topic",
            buckets=DELAY_SECONDS, registry=registry,
        )  # fmt: skip
        self._lag = Gauge(
            "soundlake_sink_lag_records", "Records in the log that the lake does not hold yet", ["topic", "partition"], registry=registry
        )
        self._looked = Gauge(
            "soundlake_sink_lag_checked_timestamp_seconds",
            "When the log last told how far it is; before it ever did, when the sink began",
            ["topic"],
            registry=registry,
        )
        self._told: dict[str, frozenset[int]] = {}
        for topic in TOPICS:
            self._begin(topic.name)

    def _begin(self, topic: str) -> None:
        self._looked.labels(topic).set(time())  # a sink that begins while the log is away never hears of it
        for metric in (self._consumed, self._bytes, self._committed, self._batch, self._decode, self._commit):
            metric.labels(topic)
        for reason in (*REJECTION_REASONS, REFUSED_BY_IMPORT):
            self._rejected.labels(topic, reason)
        self._delay.observe(topic, np.empty(0))

    def record_batch(self, batch: StoredBatch) -> None:
        """A batch is in bronze."""
        self._consumed.labels(batch.topic).inc(batch.records)
        self._bytes.labels(batch.topic).inc(batch.bytes)
        self._committed.labels(batch.topic).inc(batch.events)
        for reason, records in batch.rejected.items():
            self._rejected.labels(batch.topic, reason if reason in REJECTION_REASONS else REFUSED_BY_IMPORT).inc(records)
        self._batch.labels(batch.topic).observe(batch.records)
        self._decode.labels(batch.topic).observe(batch.decode_seconds)
        self._commit.labels(batch.topic).observe(batch.commit_seconds)
        self._delay.observe(batch.topic, batch.delays_seconds)

    def record_lag(self, topic: str, behind: Mapping[int, int]) -> None:
        """So many records of each partition wait."""
        for partition in self._told.get(topic, frozenset()) - behind.keys():
            self._lag.remove(topic, partition)
        self._told[topic] = frozenset(behind)
        for partition, records in behind.items():
            self._lag.labels(topic, partition).set(records)
        self._looked.labels(topic).set(time())

    def record_error(self, error: Exception) -> None:
        """Something went wrong that the sink waits out."""
        self._process.record_error(error)


class UpkeepMetrics:
    """Of upkeep that has a round every so often."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rounds = Counter("soundlake_upkeep_rounds_total", "Rounds of upkeep, by result: done, failed", ["result"], registry=registry)
        self._seconds = Histogram("soundlake_upkeep_seconds", "Time of one round", buckets=ROUND_SECONDS, registry=registry)
        self._files = Counter(
            "soundlake_upkeep_files_total", "Files of bronze: joined into fewer, written for them, deleted", ["act"], registry=registry
        )
        self._dropped = Counter("soundlake_upkeep_dropped_rows_total", "Rows that bronze keeps no longer", registry=registry)
        self._trimmed = Counter(
            "soundlake_upkeep_trimmed_records_total", "Records that the embedded log keeps no longer", registry=registry
        )
        self._every = Gauge("soundlake_upkeep_every_seconds", "How long it waits between two rounds", registry=registry)
        self._success = Gauge("soundlake_upkeep_success_timestamp_seconds", "When a round last ended well", registry=registry)
        self._success.set(time())
        for result in ("done", "failed"):
            self._rounds.labels(result)
        for act in ("joined", "written", "deleted"):
            self._files.labels(act)

    def rounds_begun(self, every_seconds: float) -> None:
        """From now on there is a round this often."""
        self._every.set(every_seconds)

    def round_ended(self, tables: Sequence[Compaction], *, rows_dropped: int, records_trimmed: int, seconds: float) -> None:
        """A round ended well."""
        self._rounds.labels("done").inc()
        self._seconds.observe(seconds)
        self._success.set(time())
        self._files.labels("joined").inc(sum(table.files_before for table in tables))
        self._files.labels("written").inc(sum(table.files_after for table in tables))
        self._files.labels("deleted").inc(sum(table.files_deleted for table in tables))
        self._dropped.inc(rows_dropped)
        self._trimmed.inc(records_trimmed)

    def round_failed(self, seconds: float) -> None:
        """A round ended by an error."""
        self._rounds.labels("failed").inc()
        self._seconds.observe(seconds)


def _list_survivable() -> list[str]:
    """The kinds of errors that are waited out."""
    kinds = [Retryable, TopicMissing]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return [kind.__name__ for kind in kinds]
