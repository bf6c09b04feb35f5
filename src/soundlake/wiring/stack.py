"""The full stack: preparation and status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from soundlake.wiring.systems import open_broker, open_lake

if TYPE_CHECKING:
    from soundlake.operations.stack.connections import Connection
    from soundlake.operations.stack.status import Status
    from soundlake.settings import Settings
    from soundlake.spotify.status import SpotifyStatus
    from soundlake.supervisor import RunRecord


def prepare_stack(settings: Settings) -> None:
    """Create what the services of a stack share, before any of them starts: topics and bronze tables.

    An object store that was killed answers before it finds its files again; that is waited for. Raises Unavailable, SettingsError.
    """
    from soundlake.contract import TOPICS
    from soundlake.contract.topics import DLQ
    from soundlake.retries import retry_policy

    with closing(open_broker(settings)) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=settings.topics.partitions)
    retry_policy(first_wait_seconds=0.5, longest_wait_seconds=4.0, stop=10)(open_lake, settings)


def read_status(settings: Settings) -> Status:
    """The state of everything in the home of these settings. Raises SettingsError for an invalid address."""
    from soundlake.lake import Lake
    from soundlake.operations.stack.connections import list_connections
    from soundlake.operations.stack.monitoring import read_targets
    from soundlake.operations.stack.probes import make_probes
    from soundlake.operations.stack.status import build_status
    from soundlake.supervisor import read_run
    from soundlake.warehouse import read_current_id
    from soundlake.wiring.spotify import read_spotify_status

    def read_spotify() -> SpotifyStatus:
        return read_spotify_status(settings, datetime.now(UTC))

    home = settings.home_folder
    warehouse = settings.warehouse_address.path or home
    lake = Lake(settings.lake_address, settings.storage_options)
    record = read_run(home)
    is_up = record is not None and record.supervisor.find() is not None
    return build_status(
        home,
        record,
        snapshot=read_current_id(warehouse),
        probes=make_probes(home, lambda: open_broker(settings), lambda: lake, warehouse, read_spotify),
        connections=(*list_connections(settings, read_targets(home) if is_up else {}), *_find_fake(record if is_up else None)),
    )


def _find_fake(record: RunRecord | None) -> Iterator[Connection]:
    """Where the fake Spotify is, if it runs: its port may be another one than that of the settings."""
    from soundlake.operations.spotify_services import FAKE
    from soundlake.operations.stack.connections import Connection

    for service in record.services if record is not None else ():
        if service.name == FAKE and service.address is not None:
            yield Connection("fake Spotify", service.address)
