"""Metrics of programs that read the log and the lake: Spark's queries, builds of the warehouse, pages of the dashboard.

As in metrics.py, each series exists from the start of its process.
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
    """Metrics of warehouse builds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "soundlake_transform_runs_total",
            "Builds of the warehouse, by result: built, nothing_new, failed",
            ["result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "soundlake_transform_seconds", "Duration of one build, by result", ["result"], buckets=BUILD_SECONDS, registry=registry
        )
        self._success = Gauge(
            "soundlake_transform_success_timestamp_seconds",
            "Time of the last successful build, with or without new rows",
            registry=registry,
        )
        self._rows = Gauge("soundlake_transform_rows", "Rows of each model after the last build", ["model"], registry=registry)
        self._models = Gauge(
            "soundlake_transform_model_seconds", "Duration of each model in the last build with new rows", ["model"], registry=registry
        )
        self._success.set(time())  # a process that has just started is not late yet
        for result in ("built", "nothing_new", "failed"):
            self._runs.labels(result)
            self._seconds.labels(result)

    def record_build(self, report: TransformReport) -> None:
        """Record a successful build."""
        self._record("built" if report.built else "nothing_new", report.seconds)
        self._success.set(time())
        for model, rows in report.rows.items():
            self._rows.labels(model).set(rows)
        for model, seconds in report.seconds_by_model.items():
            self._models.labels(model).set(seconds)

    def record_failed_build(self, seconds: float) -> None:
        """Record a failed build."""
        self._record("failed", seconds)

    def _record(self, result: str, seconds: float) -> None:
        self._runs.labels(result).inc()
        self._seconds.labels(result).observe(seconds)


class StreamMetrics:
    """Metrics of Spark's queries, from their progress events; `reads` lists the topics of each query."""

    def __init__(self, registry: CollectorRegistry, reads: Mapping[str, Sequence[str]]) -> None:
        self._rows = Counter("soundlake_stream_input_rows_total", "Records read by a query", ["query"], registry=registry)
        self._batches = Counter("soundlake_stream_batches_total", "Micro-batches completed by a query", ["query"], registry=registry)
        self._seconds = Histogram(
            "soundlake_stream_batch_seconds", "Duration of one micro-batch", ["query"], buckets=STEP_SECONDS, registry=registry
        )
        self._lag = Gauge(
            "soundlake_stream_lag_records", "Records in the log that a query has not read yet", ["query", "topic"], registry=registry
        )
        self._state = Gauge("soundlake_stream_state_rows", "Rows in the state of a query", ["query"], registry=registry)
        self._progress = Gauge(
            "soundlake_stream_progress_timestamp_seconds",
            "Time of the last progress event of a query, or of its start",
            ["query"],
            registry=registry,
        )
        topics = Gauge("soundlake_stream_reads_topic", "1; the topics that a query reads", ["query", "topic"], registry=registry)
        for query, names in reads.items():
            self._progress.labels(query).set(time())  # a query that hangs in its first batch sends no progress event
            for name in names:
                topics.labels(query, name).set(1)
            for metric in (self._rows, self._batches, self._seconds):
                metric.labels(query)

    def record_progress(self, progress: QueryProgress) -> None:
        """Record a progress event of a query."""
        self._progress.labels(progress.query).set(progress.reported_at.timestamp())
        self._state.labels(progress.query).set(progress.state_rows)
        for topic, records in progress.behind.items():
            self._lag.labels(progress.query, topic).set(records)
        self._batches.labels(progress.query).inc()
        self._rows.labels(progress.query).inc(progress.input_rows)
        self._seconds.labels(progress.query).observe(progress.batch_seconds)


class DashboardMetrics:
    """Metrics of the pages of the dashboard."""

    def __init__(self, registry: CollectorRegistry, pages: Iterable[str]) -> None:
        self._pages = Counter(
            "soundlake_dashboard_pages_total", "Rendered pages, by result: drawn, failed", ["page", "result"], registry=registry
        )
        self._seconds = Histogram(
            "soundlake_dashboard_page_seconds", "Time to render a page", ["page"], buckets=STEP_SECONDS, registry=registry
        )
        self._snapshot = Gauge(
            "soundlake_dashboard_snapshot_timestamp_seconds",
            "Time at which the snapshot shown on a page was published",
            ["page"],
            registry=registry,
        )
        for page in pages:
            self._seconds.labels(page)
            for result in ("drawn", "failed"):
                self._pages.labels(page, result)

    @contextmanager
    def time_page(self, page: str) -> Iterator[None]:
        """Time the rendering of a page in the block; an exception counts it as failed and is raised again."""
        begun = monotonic()
        try:
            yield
        except Exception:
            self._pages.labels(page, "failed").inc()
            raise
        self._pages.labels(page, "drawn").inc()
        self._seconds.labels(page).observe(monotonic() - begun)

    def record_snapshot(self, page: str, published_at: datetime) -> None:
        """Record which snapshot a page shows."""
        self._snapshot.labels(page).set(published_at.timestamp())
