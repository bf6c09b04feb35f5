"""Where the Real-time page has its numbers from: Redis on the full stack, the newest of bronze on the embedded one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.cache.live import COUNT_OF_TYPE, HORIZON_SECONDS, LIVE_SCHEMA, LiveMetrics, summarize
from soundlake.contract.measures import IS_LISTEN, NORMAL_FORMS, PASSED_MS
from soundlake.contract.record import FIELD_NAMES
from soundlake.contract.rules import DAY_MS, RULES
from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE
from soundlake.errors import Unavailable
from soundlake.lake import Lake
from soundlake.settings import Settings


class LiveSource(Protocol):
    """Tells what happens this minute. Raises Unavailable if it cannot."""

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""


def open_live_source(settings: Settings) -> LiveSource:
    """The source of this deployment."""
    address = settings.cache_address
    if address.scheme == "memory":
        return BronzeLiveSource(partial(_read_bronze, Lake(settings.lake_address, settings.storage_options)))
    from soundlake.cache.redis import open_redis_store  # noqa: PLC0415  # its client is no dependency of the embedded mode

    return open_redis_store(address.url)


ReadBronze = Callable[[str, list[str], pc.Expression], pa.Table]
"""Reads columns of a bronze table, of the rows that a filter lets pass."""


def _read_bronze(lake: Lake, name: str, columns: list[str], chosen: pc.Expression) -> pa.Table:
    folder = lake.address.path
    if folder is not None and not folder.exists():
        raise Unavailable(f"There is no lake in {folder} yet", next_step="`make demo` begins one, or `soundlake sink`")
    return lake.read(name, columns, chosen)


class BronzeLiveSource:
    """Reckons the same numbers from bronze, as fresh as the sink's last commit.

    It reads a day and the horizon back by the time at which events began, since nothing is heard for longer than a day.
    """

    def __init__(self, read_bronze: ReadBronze) -> None:
        self._read_bronze = read_bronze

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
        tables = [LIVE_TOPIC_OF_TYPE[event_type].table for event_type in COUNT_OF_TYPE]
        rows = pa.concat_tables([self._read_bronze(name, list(FIELD_NAMES), _choose_recent(now)) for name in tables])
        return summarize(_choose_countable(rows, now), now)


def _choose_recent(now: datetime) -> pc.Expression:
    since = now - timedelta(milliseconds=DAY_MS, seconds=HORIZON_SECONDS + 60)
    days = [since.date() + timedelta(days=day) for day in range((now.date() - since.date()).days + 1)]
    year, month, day = (pc.field(part) for part in ("year", "month", "day"))
    chosen = pc.scalar(False)  # noqa: FBT003  # nothing, until a day is added
    for date in days:
        chosen |= (year == f"{date:%Y}") & (month == f"{date:%m}") & (day == f"{date:%d}")
    return chosen & (pc.field("played_at") >= pa.scalar(since, pa.timestamp("us", tz="UTC")))


def _choose_countable(rows: pa.Table, now: datetime) -> pa.Table:
    """The good events of the horizon, normalized (LIVE_SCHEMA)."""
    good = " and ".join(
        f"(event_type not in {_list(rule.event_types)} or ({rule.expression}))" for rule in RULES if rule.severity == "reject"
    )  # fmt: skip
    forms = ", ".join(f"{form} as {name}" for name, form in NORMAL_FORMS.items())
    measured = f"epoch_ms(played_at) + {PASSED_MS} as ended_ms, case when event_type = 'play' then {IS_LISTEN} end as is_listen"
    oldest_ms = int(now.replace(tzinfo=UTC).timestamp() - HORIZON_SECONDS - 60) * 1_000
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("told", rows)
        chosen = connection.execute(
            f"select {', '.join(LIVE_SCHEMA.names)} from (select * replace ({forms}), {measured} from told where {good}) "  # noqa: S608  # our own
            "where ended_ms >= $oldest_ms",
            {"oldest_ms": oldest_ms},
        )
        return chosen.to_arrow_table().cast(LIVE_SCHEMA)


def _list(names: tuple[str, ...]) -> str:
    return f"({', '.join(repr(name) for name in names)})"
