"""The full stack: preparation and status."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from soundlake.wiring.systems import open_broker, open_lake

if TYPE_CHECKING:
    from soundlake.operations.stack.status import Status
    from soundlake.settings import Settings


def prepare_stack(settings: Settings) -> None:
    """Create what the services of a stack share, before any of them starts: topics and bronze tables."""
    from soundlake.contract import TOPICS
    from soundlake.contract.topics import DLQ

    with closing(open_broker(settings)) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=settings.topics.partitions)
    open_lake(settings)


def read_status(settings: Settings) -> Status:
    """The state of everything in the home of these settings. Raises SettingsError for an invalid address."""
    from soundlake.lake import Lake
    from soundlake.operations.stack.connections import list_connections
    from soundlake.operations.stack.monitoring import read_targets
    from soundlake.operations.stack.probes import make_probes
    from soundlake.operations.stack.status import build_status
    from soundlake.supervisor import read_run
    from soundlake.warehouse import read_current_id

    home = settings.home_folder
    warehouse = settings.warehouse_address.path or home
    lake = Lake(settings.lake_address, settings.storage_options)
    record = read_run(home)
    is_up = record is not None and record.supervisor.find() is not None
    return build_status(
        home,
        record,
        snapshot=read_current_id(warehouse),
        probes=make_probes(home, lambda: open_broker(settings), lambda: lake, warehouse),
        connections=list_connections(settings, read_targets(home) if is_up else {}),
    )
