"""The services of a stack as their supervisor's metrics show them, looked at when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry


@dataclass(frozen=True)
class ServiceSample:
    """One service now; memory and CPU time count its children too, and are None while it does not run."""

    name: str
    is_running: bool
    restarts: int
    started_at: float
    memory_bytes: int | None
    cpu_seconds: float | None


class ServiceMetrics(Collector):
    """Of the supervisor; `look` tells of every service it keeps."""

    def __init__(self, registry: CollectorRegistry, look: Callable[[], Iterable[ServiceSample]]) -> None:
        self._look = look
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """How the services are now."""
        up = GaugeMetricFamily("soundlake_service_up", "1 while a supervised service runs", labels=["name"])
        restarts = GaugeMetricFamily("soundlake_service_restarts", "How often it was started again since `up`", labels=["name"])
        since = GaugeMetricFamily("soundlake_service_start_timestamp_seconds", "When it was last started", labels=["name"])
        memory = GaugeMetricFamily("soundlake_service_memory_bytes", "Memory of it and its children", labels=["name"])
        cpu = CounterMetricFamily("soundlake_service_cpu_seconds", "CPU time of it and its children since its start", labels=["name"])
        for sample in self._look():
            up.add_metric([sample.name], float(sample.is_running))
            restarts.add_metric([sample.name], sample.restarts)
            since.add_metric([sample.name], sample.started_at)
            if sample.memory_bytes is not None and sample.cpu_seconds is not None:
                memory.add_metric([sample.name], sample.memory_bytes)
                cpu.add_metric([sample.name], sample.cpu_seconds)
        yield from (up, restarts, since, memory, cpu)
