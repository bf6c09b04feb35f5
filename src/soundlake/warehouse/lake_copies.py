"""Copies of silver and gold in the lake as Delta tables, for engines that do not read the snapshot.

Tables that grow with every play are partitioned by the week of the play, and a build rewrites only the weeks that it touched. Other tables
are rewritten if their rows changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import duckdb
import pyarrow as pa

from soundlake.lake.warehouse_copies import read_copied_build, read_copied_content, write_copy

PARTITION = "played_week"
_WEEK = "strftime(date_trunc('week', {}), '%Y-%m-%d')"
_PLAYS = "silver.silver_plays as plays"
_TOUCHED_PLAYS = "select date_trunc('week', played_date) as week from silver.play_changes"


@dataclass(frozen=True)
class _Weekly:
    """A table that is copied by the week: its columns, the tables they come from, the date that decides the week, and the touched weeks."""

    columns: str
    tables: str
    date: str
    touched: str = _TOUCHED_PLAYS


WEEKLY = {
    "silver_plays": _Weekly("plays.*", _PLAYS, "plays.played_date"),
    "silver_observations": _Weekly(
        "observations.*",
        f"silver.silver_observations as observations inner join {_PLAYS} on observations.play_id = plays.event_id",
        "plays.played_date",
    ),
    "user_daily_listening": _Weekly("days.*", "gold.user_daily_listening as days", "days.date"),
    "listening_sessions": _Weekly(
        "sessions.*",
        "gold.listening_sessions as sessions",
        "sessions.date",
        # A build replaces a listener's sessions that were open at the first touched play, or began later. A session that is gone began with
        # a touched play, or its first play is now within one of the new sessions, which may reach into another week.
        f"""
        {_TOUCHED_PLAYS}
        union
        select unnest(generate_series(date_trunc('week', sessions.started_at), date_trunc('week', sessions.ended_at), interval 7 day))
        from gold.listening_sessions as sessions
        inner join silver.touched_listeners as touched
            on sessions.user_id = touched.user_id and sessions.open_until >= touched.first_touched_at
        """,  # noqa: S608  # our own text
    ),
}


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
        done = read_copied_build(copy.uri, copy.storage_options, partition=PARTITION if name in WEEKLY else None)
        if done == build:
            continue
        if (weekly := WEEKLY.get(name)) is not None:
            _copy_weeks(connection, weekly, copy, None if whole or done is None or done != previous else _touched_weeks(connection, weekly))
        else:
            _copy_changed(connection, f'"{schema}"."{name}"', copy, whole=whole)


@dataclass(frozen=True)
class _Copy:
    """One table in the lake, and the build that it is to be a copy of."""

    uri: str
    build: int
    storage_options: Mapping[str, str]


def _copy_weeks(connection: duckdb.DuckDBPyConnection, table: _Weekly, copy: _Copy, weeks: list[date] | None) -> None:
    chosen = "true" if weeks is None else _is_in(table.date, weeks)
    rows = _read(connection, f"select {table.columns}, {_WEEK.format(table.date)} as {PARTITION} from {table.tables} where {chosen}")  # noqa: S608  # our own text
    only = None if weeks is None else [week.isoformat() for week in weeks]
    write_copy(copy.uri, rows, copy.build, copy.storage_options, partition=PARTITION, only=only)


def _is_in(column: str, weeks: list[date]) -> str:
    """The condition on a date; the range lets DuckDB leave out blocks of rows."""
    if not weeks:
        return "false"
    days = ", ".join(f"date '{week}'" for week in weeks)
    return f"{column} between date '{weeks[0]}' and date '{weeks[-1] + timedelta(days=6)}' and date_trunc('week', {column}) in ({days})"


def _copy_changed(connection: duckdb.DuckDBPyConnection, table: str, copy: _Copy, *, whole: bool) -> None:
    row = connection.execute(f"select count(*) + coalesce(sum(hash(rows) >> 16), 0) from {table} as rows").fetchone()  # noqa: S608  # catalogue's own names
    content = int(row[0]) % 2**62 if row else 0
    if whole or read_copied_content(copy.uri, copy.storage_options) != content:
        write_copy(copy.uri, _read(connection, f"select * from {table}"), copy.build, copy.storage_options, content=content)  # noqa: S608  # catalogue's own names


def _touched_weeks(connection: duckdb.DuckDBPyConnection, table: _Weekly) -> list[date]:
    """The Mondays of the weeks that the last build touched, in order."""
    rows = connection.execute(f"select distinct week::date from ({table.touched}) as touched(week) order by 1").fetchall()  # noqa: S608  # our own text
    return [row[0] for row in rows]


def _read(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    return connection.execute(query).to_arrow_reader(20_000)
