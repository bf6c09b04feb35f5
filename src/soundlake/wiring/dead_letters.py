"""The replay of rejected records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from soundlake.wiring.schema_registry import find_decoder
from soundlake.wiring.systems import open_broker, open_lake

if TYPE_CHECKING:
    from soundlake.operations.dead_letters import Replayer
    from soundlake.progress import Reporter
    from soundlake.settings import Settings


@contextmanager
def open_replayer(settings: Settings, reporter: Reporter) -> Iterator[Replayer]:
    """Publishes rejected records again."""
    from soundlake.operations.dead_letters.replayer import IN_FLIGHT_SECONDS, Replayer

    in_flight_seconds = IN_FLIGHT_SECONDS if settings.broker_address.scheme == "kafka" else 0.0
    with closing(open_broker(settings)) as broker:
        yield Replayer(
            broker,
            open_lake(settings),
            settings.home_folder,
            reporter,
            in_flight_seconds=in_flight_seconds,
            decode=find_decoder(settings),
        )
