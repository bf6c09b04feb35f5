"""Where the Real-time page gets its numbers: Redis on the full stack, the newest rows of bronze on the embedded one."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.cache.live_metrics import LiveMetrics
from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE
from soundlake.dashboard.bronze_live_source import BronzeLiveSource
from soundlake.errors import Unavailable
from soundlake.lake import Lake
from soundlake.settings import Settings


class LiveSource(Protocol):
    """Live metrics of one deployment."""

    def read(self, now: datetime) -> LiveMetrics:
        """The windows up to now. Raises Unavailable."""


def open_live_source(settings: Settings) -> LiveSource:
    """The source of this deployment, for one thread."""
    address = settings.cache_address
    if address.scheme == "memory":
        return BronzeLiveSource(NewBronzeRows(Lake(settings.lake_address, settings.storage_options)))
    from soundlake.cache.redis_store import open_redis_store  # noqa: PLC0415  # the embedded mode does not install its client

    return open_redis_store(address.url)


class NewBronzeRows:
    """The rows of the live bronze tables of a lake, each once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._readers = {topic.table: lake.open_new_rows(topic.table) for topic in LIVE_TOPIC_OF_TYPE.values()}

    def __call__(self, table: str, columns: list[str], rows_where: pc.Expression, since: datetime) -> pa.Table:
        """The rows of a table since the last call. Raises Unavailable."""
        folder = self._lake.address.path
        if folder is not None and not folder.exists():
            raise Unavailable(f"There is no lake in {folder} yet", next_step="run `make demo` or `soundlake sink`")
        return self._readers[table].read(columns, rows_where, since)
