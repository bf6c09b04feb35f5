"""One process as Prometheus sees it: its registry, what it is, what went wrong in it, and the door through which it is asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server

from soundlake.logs import configure_logs
from soundlake.settings import Settings
from soundlake.telemetry.metrics import FeedMetrics, ProcessMetrics, PublishMetrics, SinkMetrics, UpkeepMetrics
from soundlake.telemetry.reader_metrics import DashboardMetrics, StreamMetrics, TransformMetrics
from soundlake.telemetry.service_metrics import ServiceMetrics, ServiceSample

log = logging.getLogger(__name__)


class Telemetry:
    """The registry of one process, with what every process tells; `watch_…` adds the metrics of its own work, once each."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.process = ProcessMetrics(self.registry, service, version("soundlake"))
        self._sink: SinkMetrics | None = None

    def watch_publisher(self) -> PublishMetrics:
        """Metrics for a publisher of this process."""
        return PublishMetrics(self.registry)

    def watch_feed(self) -> FeedMetrics:
        """Metrics for its live generator."""
        return FeedMetrics(self.registry)

    def watch_sink(self) -> SinkMetrics:
        """Metrics for its sink; the same ones however often they are asked for, and silent from the first time on."""
        self._sink = self._sink or SinkMetrics(self.registry, self.process)
        return self._sink

    def watch_upkeep(self) -> UpkeepMetrics:
        """Metrics for its rounds of upkeep."""
        return UpkeepMetrics(self.registry)

    def watch_builds(self) -> TransformMetrics:
        """Metrics for its builds of the warehouse."""
        return TransformMetrics(self.registry)

    def watch_queries(self, reads: Mapping[str, Sequence[str]]) -> StreamMetrics:
        """Metrics for its streaming queries, and the topics that each of them reads."""
        return StreamMetrics(self.registry, reads)

    def watch_pages(self, pages: Iterable[str]) -> DashboardMetrics:
        """Metrics for these pages."""
        return DashboardMetrics(self.registry, pages)

    def watch_services(self, look: Callable[[], Iterable[ServiceSample]]) -> ServiceMetrics:
        """Metrics for the services it keeps, as `look` tells of them."""
        return ServiceMetrics(self.registry, look)


@contextmanager
def open_telemetry(settings: Settings, service: str) -> Iterator[Telemetry | None]:
    """What this process tells of itself while the block runs: logs in the form of the settings, and metrics if they name a port."""
    configure_logs(service, as_json=settings.log_json, secrets=settings.secrets)
    if settings.metrics.port:
        with serve_telemetry(service, settings.metrics.port, settings.metrics.host) as telemetry:
            yield telemetry
    else:
        yield None


@contextmanager
def serve_telemetry(service: str, port: int, host: str = "127.0.0.1") -> Iterator[Telemetry]:
    """Serve this process's metrics at that port while the block runs. A port that is taken costs the metrics, never the work."""
    telemetry = Telemetry(service)
    counter = _LineCounter(telemetry.process)
    logging.getLogger().addHandler(counter)
    try:
        with _serve(telemetry.registry, port, host):
            yield telemetry
    finally:
        logging.getLogger().removeHandler(counter)


@contextmanager
def _serve(registry: CollectorRegistry, port: int, host: str) -> Iterator[None]:
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        log.warning("no metrics of this process: port %d on %s (%s); SOUNDLAKE_METRICS_PORT moves it", port, host, error.strerror)
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _LineCounter(logging.Handler):
    """Counts what is logged, in whatever form it is written."""

    def __init__(self, metrics: ProcessMetrics) -> None:
        super().__init__(logging.WARNING)
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        self._metrics.line_logged(record.levelname.lower())
