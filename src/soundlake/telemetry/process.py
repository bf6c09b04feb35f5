"""The metrics registry of one process, and the HTTP endpoint that serves it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server

from soundlake.logs import configure_logs
from soundlake.settings import Settings
from soundlake.telemetry.metrics import FeedMetrics, ProcessMetrics, PublishMetrics, SinkMetrics, UpkeepMetrics
from soundlake.telemetry.reader_metrics import DashboardMetrics, StreamMetrics, TransformMetrics
from soundlake.telemetry.service_metrics import ServiceMetrics, ServiceSample

if TYPE_CHECKING:
    from soundlake.spotify.status import SpotifyStatus
    from soundlake.telemetry.spotify_metrics import SongMetrics, SpotifyMetrics

log = logging.getLogger(__name__)


class Telemetry:
    """The registry of one process, with the metrics of every process; each `watch_…` method adds those of one kind of work."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.process = ProcessMetrics(self.registry, service, version("soundlake"))
        self._sink: SinkMetrics | None = None

    def watch_publisher(self) -> PublishMetrics:
        """Add metrics for a publisher."""
        return PublishMetrics(self.registry)

    def watch_feed(self) -> FeedMetrics:
        """Add metrics for the live generator."""
        return FeedMetrics(self.registry)

    def watch_sink(self) -> SinkMetrics:
        """Add metrics for the sink; further calls return the same metrics."""
        self._sink = self._sink or SinkMetrics(self.registry, self.process)
        return self._sink

    def watch_upkeep(self) -> UpkeepMetrics:
        """Add metrics for upkeep."""
        return UpkeepMetrics(self.registry)

    def watch_builds(self) -> TransformMetrics:
        """Add metrics for builds of the warehouse."""
        return TransformMetrics(self.registry)

    def watch_queries(self, reads: Mapping[str, Sequence[str]]) -> StreamMetrics:
        """Add metrics for streaming queries; `reads` lists the topics of each query."""
        return StreamMetrics(self.registry, reads)

    def watch_pages(self, pages: Iterable[str]) -> DashboardMetrics:
        """Add metrics for pages of the dashboard."""
        return DashboardMetrics(self.registry, pages)

    def watch_spotify(self, read_status: Callable[[], SpotifyStatus]) -> SpotifyMetrics:
        """Add metrics for the connected accounts; `read_status` is called at each scrape."""
        from soundlake.telemetry.spotify_metrics import SpotifyMetrics  # noqa: PLC0415  # loads what only its collectors need

        return SpotifyMetrics(self.registry, read_status)

    def watch_songs(self) -> SongMetrics:
        """Add metrics for changes of the song."""
        from soundlake.telemetry.spotify_metrics import SongMetrics  # noqa: PLC0415  # the same

        return SongMetrics(self.registry)

    def watch_services(self, sample_services: Callable[[], Iterable[ServiceSample]]) -> ServiceMetrics:
        """Add metrics for supervised services; `sample_services` is called at each scrape."""
        return ServiceMetrics(self.registry, sample_services)


@contextmanager
def open_telemetry(settings: Settings, service: str) -> Iterator[Telemetry | None]:
    """Configure the logs of this process by the settings, and serve its metrics during the block if the settings have a port."""
    configure_logs(service, as_json=settings.log_json, secrets=settings.secrets)
    if settings.metrics.port:
        with serve_telemetry(service, settings.metrics.port, settings.metrics.host) as telemetry:
            yield telemetry
    else:
        yield None


@contextmanager
def serve_telemetry(service: str, port: int, host: str = "127.0.0.1") -> Iterator[Telemetry]:
    """Serve the metrics of this process at that port during the block. If the port is in use, log a warning and go on without."""
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
        log.warning(
            "metrics of this process are not served: port %d on %s: %s; set SOUNDLAKE_METRICS_PORT to another port",
            port,
            host,
            error.strerror,
        )
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _LineCounter(logging.Handler):
    """Counts logged lines, in any form of the log."""

    def __init__(self, metrics: ProcessMetrics) -> None:
        super().__init__(logging.WARNING)
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self._metrics.count_line(record.levelname.lower())
