"""Live metrics computed from bronze tables, as fresh as the sink's last commit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from soundlake.cache.live_metrics import COUNT_OF_TYPE, HORIZON_SECONDS, LIVE_SCHEMA, MINUTE_SECONDS, LiveMetrics, summarize
from soundlake.contract.expressions import ELAPSED_MS, IS_LISTEN, NORMAL_FORMS
from soundlake.contract.record import FIELD_NAMES
from soundlake.contract.rules import DAY_MS, RULES
from soundlake.contract.topics import LIVE_TOPIC_OF_TYPE

ReadNewRows = Callable[[str, list[str], pc.Expression, datetime], pa.Table]
"""Reads columns of the rows of a bronze table that no earlier call has read: those that a filter accepts, played since a time."""


class BronzeLiveSource:
    """Keeps the countable events of the last quarter of an hour and adds the new rows of bronze at each read. For one thread.

    It reads a play up to a day before the horizon, because a play counts when it ends.
    """

    def __init__(self, read_new_rows: ReadNewRows) -> None:
        self._read_new_rows = read_new_rows
        self._events = LIVE_SCHEMA.empty_table()

    def read(self, now: datetime) -> LiveMetrics:
        """The windows up to now. Raises Unavailable; the rows read before that are kept."""
        for event_type in COUNT_OF_TYPE:
            if len(rows := self._read_type(event_type, now)):
                self._events = pa.concat_tables([self._events, _select_countable(rows, now)])
        oldest_ms = int(_find_oldest(now).timestamp()) * 1_000
        self._events = self._events.filter(pc.field("ended_ms") >= oldest_ms).combine_chunks()
        return summarize(self._events, now)

    def _read_type(self, event_type: str, now: datetime) -> pa.Table:
        table, since = LIVE_TOPIC_OF_TYPE[event_type].table, _find_oldest(now)
        if event_type == "play":
            return self._read_new_rows(table, list(_COLUMNS), _may_end_after(since), since - timedelta(milliseconds=DAY_MS))
        return self._read_new_rows(table, list(_COLUMNS), pc.scalar(True), since)  # noqa: FBT003  # every row


def _find_oldest(now: datetime) -> datetime:
    return now - timedelta(seconds=HORIZON_SECONDS + MINUTE_SECONDS)


def _may_end_after(since: datetime) -> pc.Expression:
    """At least what `contract.expressions` accepts, which decides; a play of unknown length may last the whole day."""
    known_ms = pc.coalesce(pc.field("ms_played"), pc.field("duration_ms"))
    heard_ms = pc.max_element_wise(pc.min_element_wise(known_ms, pc.scalar(DAY_MS)), pc.scalar(0))
    begun_us = pc.field("played_at").cast(pa.int64())
    return begun_us + heard_ms * 1_000 >= int(since.timestamp()) * 1_000_000


def _select_countable(rows: pa.Table, now: datetime) -> pa.Table:
    """The valid events of the horizon in the order of bronze, normalized (LIVE_SCHEMA)."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("new_rows", rows)
        chosen = connection.execute(
            f"select {', '.join(LIVE_SCHEMA.names)} from (select * replace ({_FORMS}), {_MEASURED} from new_rows where {_VALID}) "  # noqa: S608  # our own
            "where ended_ms >= $oldest_ms and ended_ms <= epoch_ms(_ingested_at) + $horizon_ms order by _batch, _partition, _offset",
            {"oldest_ms": int(_find_oldest(now).timestamp()) * 1_000, "horizon_ms": HORIZON_SECONDS * 1_000},
        )
        return chosen.to_arrow_table().cast(LIVE_SCHEMA)


def _list(names: tuple[str, ...]) -> str:
    return f"({', '.join(repr(name) for name in names)})"


_VALID = " and ".join(
    f"(event_type not in {_list(rule.event_types)} or ({rule.expression}))" for rule in RULES if rule.severity == "reject"
)  # fmt: skip
_FORMS = ", ".join(f"{form} as {name}" for name, form in NORMAL_FORMS.items() if name in LIVE_SCHEMA.names)
_MEASURED = f"epoch_ms(played_at) + {ELAPSED_MS} as ended_ms, case when event_type = 'play' then {IS_LISTEN} end as is_listen"
_NEEDED = {*re.findall(r"\w+", f"{_VALID} {_FORMS} {_MEASURED}"), *LIVE_SCHEMA.names}
_COLUMNS = (*(name for name in FIELD_NAMES if name in _NEEDED), "_ingested_at", "_batch", "_partition", "_offset")
"""The columns that the expressions name, and the order in which events were stored."""
