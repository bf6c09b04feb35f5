"""Silver of all courses in one build: what it says of each listener, and whether the order of arrival changes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from bench.merge import GOLD
from bench.transform import copy_project
from tests.acceptance.pipeline import Observed
from tests.warehouse_builder import BronzeBuilder, complete_columns

from soundlake.contract import EVENT_SCHEMA
from soundlake.warehouse import Warehouse

Rows = list[dict[str, Any]]
_LATER = "~later"
_OTHER_ENDS = str.maketrans("0123456789abcdef", "fedcba9876543210")


@dataclass(frozen=True)
class Silver:
    """Of one listener, in the order of time; `reordered` are the plays of another order of arrival."""

    plays: Rows
    skips: Rows
    now_playing: Rows
    reordered: Rows


def build_silver(observed: Sequence[Observed], folder: Path) -> dict[str, Silver]:
    """Build silver twice, of the first and of all sources; a copy of each listener has them in the other order."""
    bronze = BronzeBuilder(folder / "lake")
    with Warehouse(folder / "warehouse", bronze, memory_limit="1GB", project=copy_project(folder, GOLD)) as warehouse:
        for batch in zip(*(_cut(one) for one in observed), strict=True):
            for table in ("plays", "history", "skips", "now_playing"):
                _append(bronze, table, [part[table] for part in batch if table in part])
            warehouse.transform()
    with duckdb.connect(str(folder / "warehouse" / "build.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {one.course.user: _read(connection, one.listener) for one in observed}


def _cut(observed: Observed) -> list[dict[str, pa.Table]]:
    """Two batches: live events are first, those of the copied listener last. Files are there twice, as if imported again."""
    live, history = observed.events["plays"], observed.events["history"]
    copied, copied_history = _copy(live), _copy(history)
    others = {name: observed.events[name] for name in ("skips", "now_playing")}
    first = {"plays": live, "history": copied_history, **others}
    return [first, {"plays": copied, "history": pa.concat_tables([history, history])}]


def _copy(events: pa.Table) -> pa.Table:
    """The events of another listener, with other ids: what decides a tie by the id decides it otherwise."""
    ids = [f"{value[:24]}{value[24:].translate(_OTHER_ENDS)}" for value in events["event_id"].to_pylist()]
    users = [f"{value}{_LATER}" for value in events["user_id"].to_pylist()]
    for name, values in (("event_id", ids), ("user_id", users)):
        events = events.set_column(events.schema.get_field_index(name), name, pa.array(values, EVENT_SCHEMA.field(name).type))
    return events


def _append(bronze: BronzeBuilder, table: str, parts: Iterable[pa.Table]) -> None:
    rows = pa.concat_tables([EVENT_SCHEMA.empty_table(), *(part.select(EVENT_SCHEMA.names) for part in parts)])
    if len(rows):
        bronze.append_table(table, complete_columns({name: rows[name].combine_chunks() for name in EVENT_SCHEMA.names}))


def _read(connection: duckdb.DuckDBPyConnection, listener: str) -> Silver:
    def read(table: str, time: str, user: str = listener) -> Rows:
        return connection.execute(f"select * from {table} where user_id = ? order by {time}, event_id", [user]).to_arrow_table().to_pylist()

    later = read("silver.silver_plays", "played_at", f"{listener}{_LATER}")
    return Silver(read("silver.silver_plays", "played_at"), read("silver.silver_skips", "played_at"),
                  read("raw.currently_playing", "started_at"), later)  # fmt: skip


def describe_play(row: dict[str, Any]) -> str:
    """What two orders of arrival must agree on."""
    names = ("played_at", "track_name", "ms_played", "is_skipped", "is_listen", "matched_sources")
    return json.dumps([row[name] for name in names], default=str)
