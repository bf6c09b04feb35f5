"""Silver and gold in the lake too, as of one build: for engines that read Delta and not our snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import duckdb
import pyarrow as pa

from soundlake.lake.copies import copied_build, write_copy

MONTHLY = "silver_plays"
"""The one table that grows with every play: partitioned by month, and only the months that a build touched are written again."""

_MONTH = "strftime(played_date, '%Y-%m')"


class CopyTarget(Protocol):
    """What copying must know of the lake."""

    @property
    def storage_options(self) -> Mapping[str, str]:
        """What Delta needs to reach it."""

    def uri(self, name: str, layer: str = "bronze") -> str:
        """Where a table stands."""


def copy_to_lake(connection: duckdb.DuckDBPyConnection, lake: CopyTarget, build: int, previous: int | None, *, whole: bool) -> list[str]:
    """Write every silver and gold table of a finished build as a Delta table; `previous` is the finished build before it."""
    names = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema = 'gold' or (table_schema = 'silver' and table_name like 'silver\\_%' escape '\\') order by all"
    ).fetchall()
    for schema, name in names:
        uri = lake.uri(name, schema)
        done = copied_build(uri, lake.storage_options)
        if done == build:
            continue
        if name == MONTHLY:
            months = None if whole or done is None or done != previous else _touched_months(connection)
            _copy_months(connection, uri, build, lake.storage_options, months)
        else:
            write_copy(uri, _read(connection, f'select * from "{schema}"."{name}"'), build, lake.storage_options)  # noqa: S608  # catalogue's own names
    return [f"{schema}/{name}" for schema, name in names]


def _copy_months(
    connection: duckdb.DuckDBPyConnection, uri: str, build: int, storage_options: Mapping[str, str], months: list[str] | None
) -> None:
    if months == []:
        return
    chosen = "true" if months is None else f"{_MONTH} in ({', '.join(repr(month) for month in months)})"
    rows = _read(connection, f"select *, {_MONTH} as played_month from silver.{MONTHLY} where {chosen}")  # noqa: S608  # months are our own text
    write_copy(uri, rows, build, storage_options, partition="played_month", only=months)


def _touched_months(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(f"select distinct {_MONTH} from silver.play_changes order by 1").fetchall()  # noqa: S608  # a constant
    return [row[0] for row in rows]


def _read(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    return connection.execute(query).to_arrow_reader(200_000)
