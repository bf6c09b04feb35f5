"""Metrics of the pages that this process draws: set once before the server starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.telemetry.reader_metrics import DashboardMetrics

_metrics: list[DashboardMetrics] = []


def record_pages_in(metrics: DashboardMetrics) -> None:
    """Record every page that is drawn from now on in these metrics."""
    _metrics[:] = [metrics]


@contextmanager
def record_page(page: str, reader: SnapshotReader | None) -> Iterator[None]:
    """Record the time of the block, which draws that page, and the age of its snapshot; an exception counts as a failed page."""
    for metrics in _metrics:
        if reader is not None:
            metrics.record_snapshot(page, reader.built_at)
        with metrics.time_page(page):
            yield
        return
    yield
