"""What all sessions of one server process share: the follower of snapshots and the reader of live metrics."""

from __future__ import annotations

import logging
import threading
from functools import cache
from pathlib import Path

from soundlake.dashboard.default_views import render_default_views
from soundlake.dashboard.live_reader import LiveReader
from soundlake.dashboard.live_source import open_live_source
from soundlake.dashboard.snapshot_follower import SnapshotFollower
from soundlake.errors import SettingsError, SoundlakeError
from soundlake.settings import Settings
from soundlake.warehouse.snapshot import open_snapshot, read_current_id

_lock = threading.Lock()
_live_readers: dict[str, LiveReader] = {}

logger = logging.getLogger(__name__)


def get_snapshot_follower(settings: Settings) -> SnapshotFollower:
    """The follower of this deployment's warehouse. Raises SettingsError if it is not an embedded one."""
    address = settings.warehouse_address
    if address.path is None:
        raise SettingsError(
            f"SOUNDLAKE_WAREHOUSE={address.scheme}://…: the dashboard reads snapshots of a duckdb:// warehouse only",
            next_step="leave it empty for the embedded warehouse",
        )
    with _lock:
        return _open_follower(address.path)


@cache
def _open_follower(folder: Path) -> SnapshotFollower:
    return SnapshotFollower(folder, open_snapshot, read_current_id, render_default_views)


def get_live_reader(settings: Settings) -> LiveReader:
    """The reader of this deployment's live metrics. Raises SoundlakeError if its settings are wrong."""
    key = settings.model_dump_json()
    with _lock:
        if key not in _live_readers:
            _live_readers[key] = LiveReader(open_live_source(settings))
        return _live_readers[key]


def prepare_process(settings: Settings) -> None:
    """Load pages, compute default answers and follow snapshots, so that the first visitor does not wait; an error is left to the pages."""
    try:
        get_snapshot_follower(settings).start()
        get_live_reader(settings).get_latest()
    except SoundlakeError as error:
        logger.info("the dashboard starts without data: %s", error)
