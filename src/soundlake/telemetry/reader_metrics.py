"""Metrics of what reads the log and the lake: Spark's queries, builds of the warehouse, the dashboard's pages.

As in metrics.py a series begins at 0, or now, with its process: what is missing until it happens cannot be seen to happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from time import monotonic, time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from soundlake.telemetry.metrics import STEP_SECONDS

if TYPE_CHECKING:
    from soundlake.streaming.progress import QueryProgress
    from soundlake.warehouse import TransformReport

BUILD_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0)


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
        for result in ("built", "nothing_new", "failed"):
            self._runs.labels(result)
            self._seconds.labels(result)

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
    """Of Spark's queries, from what they tell of their progress; `reads` are the topics of each."""

    def __init__(self, registry: CollectorRegistry, reads: Mapping[str, Sequence[str]]) -> None:
        self._rows = Counter("soundlake_stream_input_rows_total", "Records that a query has read", ["query"], registry=registry)
        self._batches = Counter("soundlake_stream_batches_total", "Micro-batches that a query has ended", ["query"], registry=registry)
        self._seconds = Histogram(
            "soundlake_stream_batch_seconds", "Time of one micro-batch", ["query"], buckets=STEP_SECONDS, registry=registry
        )
        self._lag = Gauge(
            "soundlake_stream_lag_records", "Records in the log that a query has not read yet", ["query", "topic"], registry=registry
        )
        self._state = Gauge("soundlake_stream_state_rows", "Rows that a query keeps in its state", ["query"], registry=registry)
        self._told = Gauge(
            "soundlake_stream_progress_timestamp_seconds", "When a query last told of itself, or was started", ["query"], registry=registry
        )
        topics = Gauge("soundlake_stream_reads_topic", "1; which topics a query reads", ["query", "topic"], registry=registry)
        for query, names in reads.items():
            self._told.labels(query).set(time())  # one that hangs in its first batch never tells
            for name in names:
                topics.labels(query, name).set(1)
            for metric in (self._rows, self._batches, self._seconds):
                metric.labels(query)

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
    """Of the dashboard's server and the pages it has."""

    def __init__(self, registry: CollectorRegistry, pages: Iterable[str]) -> None:
        self._pages = Counter(
            "soundlake_dashboard_pages_total", "Pages drawn, by result: drawn, failed", ["page", "result"], registry=registry
        )
        self._seconds = Histogram(
            "soundlake_dashboard_page_seconds", "Time to draw a page", ["page"], buckets=STEP_SECONDS, registry=registry
        )
        self._snapshot = Gauge(
            "soundlake_dashboard_snapshot_timestamp_seconds", "When the snapshot was published that pages show", ["page"], registry=registry
        )
        for page in pages:
            self._seconds.labels(page)
            for result in ("drawn", "failed"):
                self._pages.labels(page, result)

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
