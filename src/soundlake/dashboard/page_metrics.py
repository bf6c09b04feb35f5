"""Who watches the pages of this server: set once before it starts, asked by every page it draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from soundlake.dashboard.snapshot_reader import SnapshotReader
from soundlake.telemetry.reader_metrics import DashboardMetrics

_watchers: list[DashboardMetrics] = []


def watch(metrics: DashboardMetrics) -> None:
    """Tell these metrics of every page from now on."""
    _watchers[:] = [metrics]


@contextmanager
def drawing(page: str, reader: SnapshotReader | None) -> Iterator[None]:
    """While the block draws that page from this snapshot, if there is one; its error counts as a page that failed, and goes on its way."""
    for metrics in _watchers:
        if reader is not None:
            metrics.snapshot_shown(page, reader.published_at)
        with metrics.drawing(page):
            yield
        return
    yield
