"""The metrics of the pipeline into the lake: one class per kind of work.

Dashboards and alerts use these names; the metrics of programs that read the log and the lake are in reader_metrics.py. Label values come
from short, fixed lists (topics, partitions, reasons, error classes), since an open label would grow without limit. Each series exists from
the start of its process, at 0 or at the current time: `increase` ignores the first value of a series, and an alert needs one to evaluate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from time import time
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from soundlake.contract import FRAMED_REJECTION_REASONS, REJECTION_REASONS, TOPICS
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
"""The label for all reasons of importers."""
_DECODER_REASONS = (*REJECTION_REASONS, *FRAMED_REJECTION_REASONS)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time for each series doubles their number and is not used


class ProcessMetrics:
    """Metrics of every process."""

    def __init__(self, registry: CollectorRegistry, service: str, version: str) -> None:
        info = Gauge("soundlake_process_info", "1; the program and its version", ["program", "version"], registry=registry)
        info.labels(service, version).set(1)
        self._errors = Counter(
            "soundlake_errors_total",
            "Errors that the process retried, by class; an error that ends a process is in its log",
            ["kind"],
            registry=registry,
        )
        self._lines = Counter("soundlake_log_lines_total", "Lines logged at level warning or above", ["level"], registry=registry)
        for kind in _list_retryable():
            self._errors.labels(kind)
        for level in ("warning", "error", "critical"):
            self._lines.labels(level)

    def record_error(self, error: Exception) -> None:
        """Count an error that the process retries."""
        self._errors.labels(type(error).__name__).inc()

    def count_line(self, level: str) -> None:
        """Count a logged line."""
        self._lines.labels(level).inc()


class PublishMetrics:
    """Metrics of a publisher."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "soundlake_published_events_total",
            "Events published to the log, by result: acknowledged, failed, unsure",
            ["result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "soundlake_publish_seconds", "Time to publish one table of events", buckets=STEP_SECONDS, registry=registry
        )
        for result in ("acknowledged", "failed", "unsure"):
            self._events.labels(result)

    def record_publish(self, report: PublishReport, seconds: float) -> None:
        """Record the publishing of one table of events."""
        self._events.labels("acknowledged").inc(report.acknowledged)
        self._events.labels("failed").inc(report.failed)
        self._events.labels("unsure").inc(report.unsure)
        self._seconds.observe(seconds)


class FeedMetrics:
    """Metrics of the live generator."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._until = Gauge("soundlake_feed_progress_timestamp_seconds", "Progress of the generator, in event time", registry=registry)

    def record_progress(self, moment: datetime | None) -> None:
        """Record that all events before that time are published."""
        if moment is not None:
            self._until.set(moment.timestamp())


class SinkMetrics:
    """Metrics of the sink; implements `sink.SinkObserver`."""

    def __init__(self, registry: CollectorRegistry, process: ProcessMetrics) -> None:
        self._process = process

        def count(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(f"soundlake_sink_{name}", documentation, labels, registry=registry)

        def measure(name: str, documentation: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"soundlake_sink_{name}", documentation, ["topic"], buckets=buckets, registry=registry)

        self._consumed = count("consumed_records_total", "Records read from the log and stored", "topic")
        self._bytes = count("consumed_bytes_total", "Bytes of the values of the records read from the log and stored", "topic")
        self._committed = count("committed_events_total", "Rows committed to the topic's table", "topic")
        self._rejected = count("rejected_records_total", "Records that are not events, stored in bronze/rejected", "topic", "reason")
        self._batch = measure("batch_records", "Records in one batch", BATCH_RECORDS)
        self._decode = measure("decode_seconds", "Time to decode and validate one batch", STEP_SECONDS)
        self._commit = measure("commit_seconds", "Time to write and commit one batch, to both tables", STEP_SECONDS)
        self._delay = BulkHistogram(
            "soundlake_sink_delay_seconds", "Time from the append of a record to the log until the commit that made it visible", "topic",
            buckets=DELAY_SECONDS, registry=registry,
        )  # fmt: skip
        self._lag = Gauge(
            "soundlake_sink_lag_records", "Records in the log that are not in the lake yet", ["topic", "partition"], registry=registry
        )
        self._lag_checked = Gauge(
            "soundlake_sink_lag_checked_timestamp_seconds",
            "Time of the last successful read of the end offsets; until the first one, the start of the sink",
            ["topic"],
            registry=registry,
        )
        self._stopped = Gauge(
            "soundlake_sink_topic_stopped", "1 if the topic's data does not allow the sink to continue it", ["topic"], registry=registry
        )
        self._partitions_by_topic: dict[str, frozenset[int]] = {}
        for topic in TOPICS:
            self._create_series(topic.name)

    def _create_series(self, topic: str) -> None:
        self._lag_checked.labels(topic).set(time())  # a sink that starts while the log is unavailable has read no end offset yet
        for metric in (self._consumed, self._bytes, self._committed, self._batch, self._decode, self._commit):
            metric.labels(topic)
        self._stopped.labels(topic).set(0)
        for reason in (*_DECODER_REASONS, REFUSED_BY_IMPORT):
            self._rejected.labels(topic, reason)
        self._delay.observe(topic, np.empty(0))

    def record_batch(self, batch: StoredBatch) -> None:
        """Record a batch that is committed to bronze."""
        self._consumed.labels(batch.topic).inc(batch.records)
        self._bytes.labels(batch.topic).inc(batch.bytes)
        self._committed.labels(batch.topic).inc(batch.events)
        for reason, records in batch.rejected.items():
            self._rejected.labels(batch.topic, reason if reason in _DECODER_REASONS else REFUSED_BY_IMPORT).inc(records)
        self._batch.labels(batch.topic).observe(batch.records)
        self._decode.labels(batch.topic).observe(batch.decode_seconds)
        self._commit.labels(batch.topic).observe(batch.commit_seconds)
        self._delay.observe(batch.topic, batch.delays_seconds)

    def record_lag(self, topic: str, behind: Mapping[int, int]) -> None:
        """Record the number of waiting records of each partition."""
        for partition in self._partitions_by_topic.get(topic, frozenset()) - behind.keys():
            self._lag.remove(topic, partition)
        self._partitions_by_topic[topic] = frozenset(behind)
        for partition, records in behind.items():
            self._lag.labels(topic, partition).set(records)
        self._lag_checked.labels(topic).set(time())

    def record_stopped(self, topic: str, *, is_stopped: bool) -> None:
        """Record whether the topic is stopped."""
        self._stopped.labels(topic).set(is_stopped)

    def record_error(self, error: Exception) -> None:
        """Count an error that the sink retries."""
        self._process.record_error(error)


class UpkeepMetrics:
    """Metrics of periodic upkeep."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rounds = Counter("soundlake_upkeep_rounds_total", "Rounds of upkeep, by result: done, failed", ["result"], registry=registry)
        self._seconds = Histogram("soundlake_upkeep_seconds", "Duration of one round", buckets=ROUND_SECONDS, registry=registry)
        self._files = Counter(
            "soundlake_upkeep_files_total",
            "Files of bronze, by action: joined into larger ones, written as such, deleted",
            ["action"],
            registry=registry,
        )
        self._dropped = Counter("soundlake_upkeep_dropped_rows_total", "Rows of bronze deleted past their retention", registry=registry)
        self._trimmed = Counter(
            "soundlake_upkeep_trimmed_records_total", "Records of the embedded log deleted past their retention", registry=registry
        )
        self._interval = Gauge("soundlake_upkeep_interval_seconds", "Time between two rounds", registry=registry)
        self._success = Gauge("soundlake_upkeep_success_timestamp_seconds", "Time of the last successful round", registry=registry)
        self._success.set(time())
        for result in ("done", "failed"):
            self._rounds.labels(result)
        for action in ("joined", "written", "deleted"):
            self._files.labels(action)

    def record_interval(self, every_seconds: float) -> None:
        """Record the time between two rounds."""
        self._interval.set(every_seconds)

    def record_round(self, tables: Sequence[Compaction], *, rows_dropped: int, records_trimmed: int, seconds: float) -> None:
        """Record a successful round."""
        self._rounds.labels("done").inc()
        self._seconds.observe(seconds)
        self._success.set(time())
        self._files.labels("joined").inc(sum(table.files_before for table in tables))
        self._files.labels("written").inc(sum(table.files_after for table in tables))
        self._files.labels("deleted").inc(sum(table.files_deleted for table in tables))
        self._dropped.inc(rows_dropped)
        self._trimmed.inc(records_trimmed)

    def record_failed_round(self, seconds: float) -> None:
        """Record a failed round."""
        self._rounds.labels("failed").inc()
        self._seconds.observe(seconds)


def _list_retryable() -> list[str]:
    """List the error classes that are retried."""
    kinds = [Retryable, TopicMissing]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return [kind.__name__ for kind in kinds]
