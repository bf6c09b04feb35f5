"""A Prometheus histogram that observes a whole column at once: a batch has a hundred thousand delays."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry


class BulkHistogram(Collector):
    """A Prometheus histogram with one label, filled column by column."""

    def __init__(self, name: str, documentation: str, label: str, *, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._bounds = np.array(sorted(buckets))
        self._names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, label: str, values: npt.NDArray[np.float64]) -> None:
        """Count the values; a negative one (two clocks that differ) counts as zero."""
        values = np.maximum(values, 0.0)
        counts = np.bincount(np.searchsorted(self._bounds, values, side="left"), minlength=len(self._names))
        with self._lock:
            self._counts[label] = self._counts.get(label, np.zeros(len(self._names), np.int64)) + counts
            self._sums[label] = self._sums.get(label, 0.0) + float(values.sum())

    def collect(self) -> Iterator[Metric]:
        """Yield the counts so far, for the registry."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
        with self._lock:
            for label, counts in self._counts.items():
                reached = np.cumsum(counts).tolist()
                family.add_metric([label], list(zip(self._names, map(float, reached), strict=True)), self._sums[label])
        yield family
