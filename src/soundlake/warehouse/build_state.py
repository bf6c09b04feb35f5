"""The state of builds in build.duckdb: how far each bronze table has been read, and whether the last build finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import duckdb

from soundlake.contract import REJECTED_TABLE, TOPICS
from soundlake.errors import DataError, Unavailable

BUILD = "build.duckdb"
REPLACED_TABLES = ("replaced_observations", "replaced_records", "replaced_plays")
"""Tables of schema silver with rows as they were before the build."""
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
    """What a build needs of the lake: its bronze tables, and the addresses of the copies."""

    @property
    def storage_options(self) -> Mapping[str, str]:
        """The options with which delta-rs opens its tables."""

    def find_uri(self, name: str, layer: str = "bronze") -> str:
        """The address of a Delta table of that layer."""

    def read_last_batch(self, name: str) -> int:
        """The highest `_batch` of the table; 0 if it is empty."""

    def has_rows(self, name: str) -> bool:
        """Whether the table has rows; a batch can consist of positions only."""

    def read_table_id(self, name: str) -> str:
        """The id of the table; a table that was deleted and created again has a new one."""


@dataclass(frozen=True)
class Window:
    """The new rows of one bronze table that a build reads: low < _batch <= high."""

    table: str
    table_id: str
    low: int
    high: int


@dataclass(frozen=True)
class Plan:
    """What a build has to do. `reasons` are those for a full refresh; empty for an incremental build."""

    build: int
    windows: tuple[Window, ...]
    reasons: tuple[str, ...]
    unfinished: bool

    @property
    def is_full_refresh(self) -> bool:
        """Whether the build reads all of bronze."""
        return bool(self.reasons)

    @property
    def has_work(self) -> bool:
        """Whether there are new rows, or an earlier build did not finish."""
        return self.is_full_refresh or self.unfinished or any(window.high > window.low for window in self.windows)


def open_build(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the build database for writing, in UTC, and create its state tables.

    Raises Unavailable while another process has it open, DataError if the file is damaged.
    """
    try:
        connection = duckdb.connect(str(path))
    except duckdb.IOException as cause:
        if "lock" in str(cause).casefold():
            raise Unavailable(f"{path}: another process has it open: {cause}", next_step="end that process, then try again") from cause
        raise DataError(
            f"{path}: {cause}", next_step="move it away, then run `soundlake transform`: it is built again from bronze"
        ) from cause
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(_SCHEMA)
    return connection


def plan_build(connection: duckdb.DuckDBPyConnection, lake: BronzeLake, fingerprint: str, *, full_refresh: bool) -> Plan:
    """Fix the upper end of each bronze table's window, and decide whether the build is a full refresh."""
    known = {name: (table_id, low) for name, table_id, low in connection.execute(
        "select table_name, table_id, low_batch from raw.bronze_windows").fetchall()}  # fmt: skip
    windows = []
    reasons = ["asked for"] if full_refresh else []
    for name in BRONZE_TABLES:
        table_id, high = lake.read_table_id(name), lake.read_last_batch(name)
        known_id, low = known.get(name, (table_id, 0))
        if known_id != table_id or high < low:
            reasons.append(f"bronze/{name} was created again")
            low = 0
        windows.append(Window(name, table_id, low, high))
    build, unfinished, reason = _read_past_builds(connection, fingerprint)
    reasons += [reason] if reason else []
    return Plan(build + 1, tuple(windows), tuple(reasons), unfinished)


def begin_build(connection: duckdb.DuckDBPyConnection, plan: Plan, fingerprint: str, now: datetime) -> None:
    """Record the windows for the models, and that a build has started. The watermarks do not move yet.

    A full refresh begins without the old tables: no table of a model that was renamed or removed stays behind.
    """
    connection.execute("begin")
    if plan.is_full_refresh:
        for layer in ("silver", "gold"):
            connection.execute(f"drop schema {layer} cascade; create schema {layer}")
    for window in plan.windows:
        connection.execute(
            "insert or replace into raw.bronze_windows values (?, ?, ?, ?)", [window.table, window.table_id, window.low, window.high]
        )
    connection.execute("insert into raw.builds values (?, ?, ?, ?, null)", [plan.build, plan.is_full_refresh, fingerprint, now])
    connection.execute("commit")


def finish_build(connection: duckdb.DuckDBPyConnection, plan: Plan, now: datetime) -> None:
    """Move the watermarks and empty the tables of replaced rows, in the one transaction that ends a successful build."""
    connection.execute("begin")
    connection.execute("update raw.bronze_windows set low_batch = high_batch")
    for table in REPLACED_TABLES:
        connection.execute(f"truncate silver.{table}")
    connection.execute("update raw.builds set finished_at = ? where build = ?", [now, plan.build])
    connection.execute("commit")


@dataclass(frozen=True)
class FinishedBuild:
    """A finished build; `previous` is the number of the finished build before it."""

    number: int
    previous: int | None
    is_full_refresh: bool
    finished_at: datetime


def read_last_finished_build(connection: duckdb.DuckDBPyConnection) -> FinishedBuild:
    """The last finished build. At least one must exist."""
    rows = connection.execute(
        "select build, is_full_refresh, finished_at from raw.builds where finished_at is not null order by build desc limit 2"
    ).fetchall()
    number, is_full_refresh, finished_at = rows[0]
    return FinishedBuild(number, rows[1][0] if len(rows) > 1 else None, is_full_refresh, finished_at)


def _read_past_builds(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> tuple[int, bool, str | None]:
    """The last build's number, whether it is unfinished, and the reason for a full refresh, if any."""
    rows: Sequence[tuple[int, bool, str, datetime | None]] = connection.execute(
        "select build, is_full_refresh, fingerprint, finished_at from raw.builds order by build desc"
    ).fetchall()
    unfinished = list(takewhile(lambda row: row[3] is None, rows))
    reason = None
    if len(unfinished) == len(rows):
        reason = "nothing is built yet"
    elif any(row[1] for row in unfinished):
        reason = "a full refresh did not finish"
    elif rows[len(unfinished)][2] != fingerprint:
        reason = "the models changed"
    return rows[0][0] if rows else 0, bool(unfinished), reason
