"""The tables of a built warehouse, as tests and benchmarks compare them."""

from __future__ import annotations

from pathlib import Path

import duckdb

OF_ONE_BUILD = {
    "arrived_events", "duplicated_event_ids", "touched_events", "deduplicated_events", "plays_to_match", "matched_plays",
    "touched_plays", "replaced_plays", "replaced_observations", "touched_records", "replaced_records",
    "play_changes",
    "touched_days", "touched_listeners",
}  # fmt: skip
"""Tables about the work of one build."""


def find_lasting_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Every lasting table, by name: its qualified name."""
    rows = connection.execute(
        "select table_name, table_schema from information_schema.tables "
        "where table_schema in ('silver', 'gold') or table_name = 'currently_playing' order by all"
    ).fetchall()
    return {name: f'"{schema}"."{name}"' for name, schema in rows if name not in OF_ONE_BUILD}


def list_compared_columns(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """All columns, with doubles rounded to nine digits because their sums depend on the order of addition."""
    columns = connection.execute(f"describe {table}").fetchall()
    return ", ".join(f'round("{column[0]}", 9)' if column[1] in ("DOUBLE", "FLOAT") else f'"{column[0]}"' for column in columns)


def digest_tables(folder: Path) -> dict[str, tuple[int, int]]:
    """The number of rows and the sum of their hashes, of every lasting table: equal for equal rows in any order."""
    with duckdb.connect(str(folder / "build.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {name: digest(connection, table) for name, table in find_lasting_tables(connection).items()}


def digest(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    chosen = list_compared_columns(connection, table)
    row = connection.execute(f"select count(*), coalesce(sum(hash({chosen})), 0) from {table}").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
