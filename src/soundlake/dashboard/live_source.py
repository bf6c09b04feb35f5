"""Where the Real-time page has its numbers from: Redis on the full stack, the newest of bronze on the embedded one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import and_
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.cache.live_metrics import COUNT_OF_TYPE, HORIZON_SECONDS, LIVE_SCHEMA, MINUTE_SECONDS, LiveMetrics, summarize
from soundlake.contract.expressions import ELAPSED_MS, IS_LISTEN, NORMAL_FORMS
from soundlake.contract.record import FIELD_NAMES
from soundlake.contract.rules import DAY_MS, RULES
from soundlake.contract.topics import HOURLY, LIVE_TOPIC_OF_TYPE
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
    from soundlake.cache.redis_store import open_redis_store  # noqa: PLC0415  # its client is no dependency of the embedded mode

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

    Of acts it reads the hours of the horizon; of plays also those, up to a day before, in which one began that was not over by then.
    """

    def __init__(self, read_bronze: ReadBronze) -> None:
        self._read_bronze = read_bronze

    def read(self, now: datetime) -> LiveMetrics:
        """The windows as they stand."""
        rows = pa.concat_tables([self._read_recent(event_type, now) for event_type in COUNT_OF_TYPE])
        return summarize(_choose_countable(rows, now), now)

    def _read_recent(self, event_type: str, now: datetime) -> pa.Table:
        table, since = LIVE_TOPIC_OF_TYPE[event_type].table, _find_oldest(now)
        hours = _list_hours(since, now)
        chosen = _begun_between(since, now)
        if event_type == "play":
            longest = since - timedelta(milliseconds=DAY_MS)
            chosen = _begun_between(longest, now) & _may_end_after(since)
            begun = self._read_bronze(table, ["played_at"], _lies_in(_list_hours(longest, now)) & chosen)["played_at"]
            hours = pc.floor_temporal(begun, unit="hour").unique().to_pylist()
        return self._read_bronze(table, list(_COLUMNS), _lies_in(hours) & chosen)


def _find_oldest(now: datetime) -> datetime:
    return now - timedelta(seconds=HORIZON_SECONDS + MINUTE_SECONDS)


def _list_hours(since: datetime, until: datetime) -> list[datetime]:
    first = since.replace(minute=0, second=0, microsecond=0)
    return [first + timedelta(hours=hours) for hours in range(int((until - first) / timedelta(hours=1)) + 1)]


def _lies_in(hours: Iterable[datetime]) -> pc.Expression:
    """In the partitions of these hours."""
    chosen = pc.scalar(False)  # noqa: FBT003  # nothing, until an hour is added
    for hour in hours:
        parts = zip(HOURLY, f"{hour:%Y-%m-%d-%H}".split("-"), strict=True)
        chosen |= reduce(and_, (pc.field(name) == value for name, value in parts))
    return chosen


def _begun_between(since: datetime, now: datetime) -> pc.Expression:
    """What begins after the minute that is open at `now` is told by none of its windows."""
    moment = pa.timestamp("us", tz="UTC")
    return (pc.field("played_at") >= pa.scalar(since, moment)) & (pc.field("played_at") <= pa.scalar(now + timedelta(minutes=1), moment))


def _may_end_after(since: datetime) -> pc.Expression:
    """No narrower than `contract.measures`, which decides; what is of unknown length may be over at any time of the day."""
    known_ms = pc.coalesce(pc.field("ms_played"), pc.field("duration_ms"))
    heard_ms = pc.max_element_wise(pc.min_element_wise(known_ms, pc.scalar(DAY_MS)), pc.scalar(0))
    begun_us = pc.field("played_at").cast(pa.int64())
    return begun_us + heard_ms * 1_000 >= int(since.timestamp()) * 1_000_000


def _choose_countable(rows: pa.Table, now: datetime) -> pa.Table:
    """The good events of the horizon in the order of bronze, normalized (LIVE_SCHEMA)."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("told", rows)
        chosen = connection.execute(
            f"select {', '.join(LIVE_SCHEMA.names)} from (select * replace ({_FORMS}), {_MEASURED} from told where {_GOOD}) "  # noqa: S608  # our own
            "where ended_ms >= $oldest_ms and ended_ms <= epoch_ms(_ingested_at) + $horizon_ms order by _batch, _partition, _offset",
            {"oldest_ms": int(_find_oldest(now).timestamp()) * 1_000, "horizon_ms": HORIZON_SECONDS * 1_000},
        )
        return chosen.to_arrow_table().cast(LIVE_SCHEMA)


def _list(names: tuple[str, ...]) -> str:
    return f"({', '.join(repr(name) for name in names)})"


_GOOD = " and ".join(
    f"(event_type not in {_list(rule.event_types)} or ({rule.expression}))" for rule in RULES if rule.severity == "reject"
)  # fmt: skip
_FORMS = ", ".join(f"{form} as {name}" for name, form in NORMAL_FORMS.items() if name in LIVE_SCHEMA.names)
_MEASURED = f"epoch_ms(played_at) + {ELAPSED_MS} as ended_ms, case when event_type = 'play' then {IS_LISTEN} end as is_listen"
_NEEDED = {*re.findall(r"\w+", f"{_GOOD} {_FORMS} {_MEASURED}"), *LIVE_SCHEMA.names}
_COLUMNS = (*(name for name in FIELD_NAMES if name in _NEEDED), "_ingested_at", "_batch", "_partition", "_offset")
"""What the expressions name, and what tells the order in which events were stored."""
