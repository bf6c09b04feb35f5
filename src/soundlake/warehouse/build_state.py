"""What build.duckdb knows of its own builds: how far bronze was read, and whether the last build ended well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb

from soundlake.contract import REJECTED_TABLE, TOPICS
from soundlake.errors import DataError, Unavailable

BRONZE_TABLES: tuple[str, ...] = (*(topic.table for topic in TOPICS), REJECTED_TABLE)

_SCHEMA = """
create schema if not exists raw;
create schema if not exists silver;
create schema if not exists gold;
create table if not exists raw.bronze_windows (
    table_name varchar primary key, table_id varchar not null, low_batch bigint not null, high_batch bigint not null
);
create table if not exists raw.builds (
    build bigint primary key, is_full_refresh boolean not null, fingerprint varchar not null,
    started_at timestamptz not null, finished_at timestamptz
);
"""


class BronzeLake(Protocol):
    """What a build must know of the lake: its bronze tables, and where copies go."""

    @property
    def storage_options(self) -> Mapping[str, str]:
        """What Delta needs to reach it."""

    def uri(self, name: str, layer: str = "bronze") -> str:
        """Where the Delta table of that layer stands."""

    def last_batch(self, name: str) -> int:
        """The highest `_batch` of the table; 0 when it has none."""

    def table_id(self, name: str) -> str:
        """The id of the table itself; another one once it is made anew."""


@dataclass(frozen=True)
class Window:
    """The rows of one bronze table that a build reads anew: low < _batch <= high."""

    table: str
    table_id: str
    low: int
    high: int


@dataclass(frozen=True)
class Plan:
    """What a build has to do; `reasons` say why it reads everything anew, if it does."""

    build: int
    windows: tuple[Window, ...]
    reasons: tuple[str, ...]
    unfinished: bool

    @property
    def is_full_refresh(self) -> bool:
        """Everything is read anew."""
        return bool(self.reasons)

    @property
    def has_work(self) -> bool:
        """Something is new, or a build before was cut short."""
        return self.is_full_refresh or self.unfinished or any(window.high > window.low for window in self.windows)


def open_build(path: Path) -> duckdb.DuckDBPyConnection:
    """The build database, for writing, in UTC, with the tables above made. Raises Unavailable while another process has it open."""
    try:
        connection = duckdb.connect(str(path))
    except duckdb.IOException as cause:
        if "lock" in str(cause).casefold():
            raise Unavailable(f"{path}: another process has it open: {cause}", next_step="end that process, then try again") from cause
        raise DataError(f"{path}: {cause}", next_step="move it away, then run `soundlake transform`: it is built from bronze") from cause
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(_SCHEMA)
    return connection


def plan_build(connection: duckdb.DuckDBPyConnection, lake: BronzeLake, fingerprint: str, *, full_refresh: bool) -> Plan:
    """Fix the upper end of each bronze table, once, and decide whether everything must be read anew."""
    known = {name: (table_id, low) for name, table_id, low in connection.execute(
        "select table_name, table_id, low_batch from raw.bronze_windows").fetchall()}  # fmt: skip
    windows = []
    reasons = ["asked for"] if full_refresh else []
    for name in BRONZE_TABLES:
        table_id, high = lake.table_id(name), lake.last_batch(name)
        known_id, low = known.get(name, (table_id, 0))
        if known_id != table_id or high < low:
            reasons.append(f"bronze/{name} was made anew")
            low = 0
        windows.append(Window(name, table_id, low, high))
    build, unfinished, reason = _read_past(connection, fingerprint)
    reasons += [reason] if reason else []
    return Plan(build + 1, tuple(windows), tuple(reasons), unfinished)


def begin_build(connection: duckdb.DuckDBPyConnection, plan: Plan, fingerprint: str, now: datetime) -> None:
    """Write the windows down for the models, and that a build is under way. The watermarks stay where they are."""
    connection.execute("begin")
    for window in plan.windows:
        connection.execute(
            "insert or replace into raw.bronze_windows values (?, ?, ?, ?)", [window.table, window.table_id, window.low, window.high]
        )
    connection.execute("insert into raw.builds values (?, ?, ?, ?, null)", [plan.build, plan.is_full_refresh, fingerprint, now])
    connection.execute("commit")


def finish_build(connection: duckdb.DuckDBPyConnection, plan: Plan, now: datetime) -> None:
    """Move the watermarks and forget what was replaced since the last good build, in the one step that ends a successful one."""
    connection.execute("begin")
    connection.execute("update raw.bronze_windows set low_batch = high_batch")
    connection.execute("truncate silver.replaced_plays")
    connection.execute("truncate silver.replaced_open_plays")
    connection.execute("update raw.builds set finished_at = ? where build = ?", [now, plan.build])
    connection.execute("commit")


@dataclass(frozen=True)
class FinishedBuild:
    """A build that ended well; `previous` is the number of the one that did so before it."""

    number: int
    previous: int | None
    is_full_refresh: bool
    finished_at: datetime


def last_finished(connection: duckdb.DuckDBPyConnection) -> FinishedBuild:
    """The last build that ended well; there is one."""
    rows = connection.execute(
        "select build, is_full_refresh, finished_at from raw.builds where finished_at is not null order by build desc limit 2"
    ).fetchall()
    number, is_full_refresh, finished_at = rows[0]
    return FinishedBuild(number, rows[1][0] if len(rows) > 1 else None, is_full_refresh, finished_at)


def _read_past(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> tuple[int, bool, str | None]:
    """The last build's number, whether it was cut short, and why everything must be read anew, if so."""
    rows: Sequence[tuple[int, bool, str, datetime | None]] = connection.execute(
        "select build, is_full_refresh, fingerprint, finished_at from raw.builds order by build desc"
    ).fetchall()
    last = next((row for row in rows if row[3] is not None), None)
    cut_short = [row for row in rows if last is None or row[0] > last[0]]
    build = rows[0][0] if rows else 0
    if last is None:
        return build, bool(cut_short), "nothing is built yet"
    if any(row[1] for row in cut_short):
        return build, True, "a full refresh was cut short"
    if last[2] != fingerprint:
        return build, bool(cut_short), "the models changed"
    return build, bool(cut_short), None
