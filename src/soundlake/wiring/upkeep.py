"""Compaction, retention and vacuum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from soundlake.wiring.systems import open_broker, open_lake

if TYPE_CHECKING:
    from soundlake.operations.upkeep import Upkeep
    from soundlake.settings import Settings
    from soundlake.telemetry import Telemetry


@contextmanager
def open_upkeep(settings: Settings, telemetry: Telemetry | None = None, *, vacuum_hours: int = 24) -> Iterator[Upkeep]:
    """Maintenance beside the sink; only the embedded log is trimmed, Kafka does so on its own."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.operations.upkeep import Upkeep

    days, hours = settings.bronze.retention_days, settings.topics.retention_hours
    with ExitStack() as stack:
        log = stack.enter_context(closing(open_broker(settings))) if settings.broker_address.scheme == "sqlite" else None
        yield Upkeep(
            open_lake(settings),
            read_utc_now,
            log=log,
            log_retention=timedelta(hours=hours),
            row_retention=timedelta(days=days) if days else None,
            vacuum_hours=vacuum_hours,
            metrics=None if telemetry is None else telemetry.watch_upkeep(),
        )
