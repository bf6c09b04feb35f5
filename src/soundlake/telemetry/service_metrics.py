"""Metrics of supervised services, sampled at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry


@dataclass(frozen=True)
class ServiceSample:
    """The state of one service; memory and CPU time include its children and are None while it is not running."""

    name: str
    is_running: bool
    restarts: int
    started_at: float
    memory_bytes: int | None
    cpu_seconds: float | None


class ServiceMetrics(Collector):
    """Metrics of the supervisor; `sample_services` returns the state of every service."""

    def __init__(self, registry: CollectorRegistry, sample_services: Callable[[], Iterable[ServiceSample]]) -> None:
        self._sample_services = sample_services
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the services, for the registry."""
        up = GaugeMetricFamily("soundlake_service_up", "1 while the service is running", labels=["name"])
        restarts = GaugeMetricFamily("soundlake_service_restarts", "Restarts of the service since `soundlake up`", labels=["name"])
        since = GaugeMetricFamily("soundlake_service_start_timestamp_seconds", "Time of the last start of the service", labels=["name"])
        memory = GaugeMetricFamily("soundlake_service_memory_bytes", "Memory of the service and its child processes", labels=["name"])
        cpu = CounterMetricFamily(
            "soundlake_service_cpu_seconds", "CPU time of the service and its child processes since its start", labels=["name"]
        )
        for sample in self._sample_services():
            up.add_metric([sample.name], float(sample.is_running))
            restarts.add_metric([sample.name], sample.restarts)
            since.add_metric([sample.name], sample.started_at)
            if sample.memory_bytes is not None and sample.cpu_seconds is not None:
                memory.add_metric([sample.name], sample.memory_bytes)
                cpu.add_metric([sample.name], sample.cpu_seconds)
        yield from (up, restarts, since, memory, cpu)
