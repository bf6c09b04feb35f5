"""Copies of silver and gold in the lake as Delta tables, for engines that do not read the snapshot.

Tables that grow with every play are partitioned by the week of the play, and a build rewrites only the weeks that it touched. Other tables
are rewritten if their rows changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import duckdb
import pyarrow as pa

from soundlake.lake.warehouse_copies import read_copied_build, read_copied_content, write_copy

PARTITION = "played_week"
_PLAYS = "silver.silver_plays as plays"
WEEKLY = {
    "silver_plays": ("plays.*", _PLAYS, "plays.played_date"),
    "silver_observations": (
        "observations.*",
        f"silver.silver_observations as observations inner join {_PLAYS} on observations.play_id = plays.event_id",
        "plays.played_date",
    ),
    "user_daily_listening": ("days.*", "gold.user_daily_listening as days", "days.date"),
}
"""By table: the columns, the tables they come from, and the date that decides the week."""


class CopyTarget(Protocol):
    """What copying needs of the lake."""

    @property
    def storage_options(self) -> Mapping[str, str]:
        """The options with which delta-rs opens its tables."""

    def find_uri(self, name: str, layer: str = "bronze") -> str:
        """The address of a Delta table of that layer."""


def copy_to_lake(connection: duckdb.DuckDBPyConnection, lake: CopyTarget, build: int, previous: int | None, *, whole: bool) -> None:
    """Write every silver and gold table of a finished build as a Delta table; `previous` is the finished build before it."""
    names = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema = 'gold' or (table_schema = 'silver' and table_name like 'silver\\_%' escape '\\') order by all"
    ).fetchall()
    for schema, name in names:
        copy = _Copy(lake.find_uri(name, schema), build, lake.storage_options)
        done = read_copied_build(copy.uri, copy.storage_options)
        if done == build:
            continue
        if name in WEEKLY:
            _copy_weeks(connection, name, copy, None if whole or done is None or done != previous else _touched_weeks(connection))
        else:
            _copy_changed(connection, f'"{schema}"."{name}"', copy, whole=whole)


@dataclass(frozen=True)
class _Copy:
    """One table in the lake, and the build that it is to be a copy of."""

    uri: str
    build: int
    storage_options: Mapping[str, str]


def _copy_weeks(connection: duckdb.DuckDBPyConnection, name: str, copy: _Copy, weeks: list[str] | None) -> None:
    columns, tables, date = WEEKLY[name]
    chosen = "true" if weeks is None else f"{_week_of(date)} in ({', '.join(repr(week) for week in weeks) or 'null'})"
    rows = _read(connection, f"select {columns}, {_week_of(date)} as {PARTITION} from {tables} where {chosen}")  # noqa: S608  # our own text
    write_copy(copy.uri, rows, copy.build, copy.storage_options, partition=PARTITION, only=weeks)


def _copy_changed(connection: duckdb.DuckDBPyConnection, table: str, copy: _Copy, *, whole: bool) -> None:
    row = connection.execute(f"select count(*) + coalesce(sum(hash(rows) >> 16), 0) from {table} as rows").fetchone()  # noqa: S608  # catalogue's own names
    content = int(row[0]) % 2**62 if row else 0
    if whole or read_copied_content(copy.uri, copy.storage_options) != content:
        write_copy(copy.uri, _read(connection, f"select * from {table}"), copy.build, copy.storage_options, content=content)  # noqa: S608  # catalogue's own names


def _touched_weeks(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(f"select distinct {_week_of('played_date')} from silver.play_changes order by 1").fetchall()  # noqa: S608  # a constant
    return [row[0] for row in rows]


def _week_of(date: str) -> str:
    return f"strftime(date_trunc('week', {date}), '%Y-%m-%d')"


def _read(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    return connection.execute(query).to_arrow_reader(200_000)
