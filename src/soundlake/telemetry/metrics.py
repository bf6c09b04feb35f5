"""Every metric of the project, once: a class for each kind of work, which a process makes upon its registry and calls as it works.

Dashboards, alerts and their tests go by these names. Labels come from short, fixed lists (topics, partitions, reasons, kinds of errors):
a label that anybody could fill would be a leak of memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from time import monotonic, time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from soundlake.contract.judge import REASONS
from soundlake.telemetry.bulk import BulkHistogram

if TYPE_CHECKING:
    from soundlake.broker import PublishAccount
    from soundlake.sink import StoredBatch
    from soundlake.streaming.progress import QueryProgress
    from soundlake.warehouse import TransformReport

DELAY_SECONDS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0)
STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BUILD_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0)
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

    def error_met(self, error: Exception) -> None:
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

    def published(self, account: PublishAccount, seconds: float) -> None:
        """A table of events has been offered."""
        self._events.labels("acknowledged").inc(account.acknowledged)
        self._events.labels("failed").inc(account.failed)
        self._events.labels("unsure").inc(account.unsure)
        self._seconds.observe(seconds)


class FeedMetrics:
    """Of the live generator."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._until = Gauge(
            "soundlake_feed_told_until_timestamp_seconds", "How far the made-up world is told, in its own time", registry=registry
        )

    def told_until(self, moment: datetime | None) -> None:
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
            "soundlake_sink_looked_timestamp_seconds", "When the log last told how far it is", ["topic"], registry=registry
        )

    def batch_stored(self, batch: StoredBatch) -> None:
        """A batch is in bronze."""
        self._consumed.labels(batch.topic).inc(batch.records)
        self._bytes.labels(batch.topic).inc(batch.bytes)
        self._committed.labels(batch.topic).inc(batch.events)
        for reason, records in batch.rejected.items():
            self._rejected.labels(batch.topic, reason if reason in REASONS else REFUSED_BY_IMPORT).inc(records)
        self._batch.labels(batch.topic).observe(batch.records)
        self._decode.labels(batch.topic).observe(batch.decode_seconds)
        self._commit.labels(batch.topic).observe(batch.commit_seconds)
        self._delay.observe(batch.topic, batch.delays_seconds)

    def lag_seen(self, topic: str, behind: Mapping[int, int]) -> None:
        """So many records of each partition wait."""
        for partition, records in behind.items():
            self._lag.labels(topic, partition).set(records)
        self._looked.labels(topic).set(time())

    def error_met(self, error: Exception) -> None:
        """Something went wrong that the sink waits out."""
        self._process.error_met(error)


class TransformMetrics:
    """Of what builds the warehouse."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "soundlake_transform_runs_total",
            "Builds of the warehouse, by result: built, nothing_new, failed",
            ["result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "soundlake_transform_seconds", "Time of one build, by result", ["result"], buckets=BUILD_SECONDS, registry=registry
        )
        self._success = Gauge(
            "soundlake_transform_success_timestamp_seconds", "When a build last ended well, with or without new rows", registry=registry
        )
        self._rows = Gauge("soundlake_transform_rows", "Rows of each model after the last build", ["model"], registry=registry)
        self._models = Gauge(
            "soundlake_transform_model_seconds", "Time of each model in the last build that had work", ["model"], registry=registry
        )
        self._success.set(time())  # a process that has just begun is not late yet

    def build_ended(self, report: TransformReport) -> None:
        """A build ended well."""
        self._record("built" if report.built else "nothing_new", report.seconds)
        self._success.set(time())
        for model, rows in report.rows.items():
            self._rows.labels(model).set(rows)
        for model, seconds in report.seconds_by_model.items():
            self._models.labels(model).set(seconds)

    def build_failed(self, seconds: float) -> None:
        """A build ended by an error."""
        self._record("failed", seconds)

    def _record(self, result: str, seconds: float) -> None:
        self._runs.labels(result).inc()
        self._seconds.labels(result).observe(seconds)


class StreamMetrics:
    """Of Spark's queries, from what they tell of their progress."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = Counter("soundlake_stream_input_rows_total", "Records that a query has read", ["query"], registry=registry)
        self._batches = Counter("soundlake_stream_batches_total", "Micro-batches that a query has ended", ["query"], registry=registry)
        self._seconds = Histogram(
            "soundlake_stream_batch_seconds", "Time of one micro-batch", ["query"], buckets=STEP_SECONDS, registry=registry
        )
        self._lag = Gauge(
            "soundlake_stream_lag_records", "Records in the log that a query has not read yet", ["query", "topic"], registry=registry
        )
        self._state = Gauge("soundlake_stream_state_rows", "Rows that a query keeps in its state", ["query"], registry=registry)
        self._told = Gauge("soundlake_stream_progress_timestamp_seconds", "When a query last told of itself", ["query"], registry=registry)

    def progressed(self, progress: QueryProgress) -> None:
        """A query told how far it is."""
        self._told.labels(progress.query).set(progress.told_at.timestamp())
        self._state.labels(progress.query).set(progress.state_rows)
        for topic, records in progress.behind.items():
            self._lag.labels(progress.query, topic).set(records)
        self._batches.labels(progress.query).inc()
        self._rows.labels(progress.query).inc(progress.input_rows)
        self._seconds.labels(progress.query).observe(progress.batch_seconds)


class DashboardMetrics:
    """Of the dashboard's server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pages = Counter(
            "soundlake_dashboard_pages_total", "Pages drawn, by result: drawn, failed", ["page", "result"], registry=registry
        )
        self._seconds = Histogram(
            "soundlake_dashboard_page_seconds", "Time to draw a page", ["page"], buckets=STEP_SECONDS, registry=registry
        )
        self._snapshot = Gauge(
            "soundlake_dashboard_snapshot_timestamp_seconds", "When the snapshot was published that pages show", ["page"], registry=registry
        )

    @contextmanager
    def drawing(self, page: str) -> Iterator[None]:
        """Time one drawing of a page; an error counts it as failed and goes on its way."""
        begun = monotonic()
        try:
            yield
        except Exception:
            self._pages.labels(page, "failed").inc()
            raise
        self._pages.labels(page, "drawn").inc()
        self._seconds.labels(page).observe(monotonic() - begun)

    def snapshot_shown(self, page: str, published_at: datetime) -> None:
        """The page shows this snapshot."""
        self._snapshot.labels(page).set(published_at.timestamp())
