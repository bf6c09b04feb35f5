"""The options of the filters in a snapshot: listeners, device types, and the time between first and last play."""

from __future__ import annotations

from typing import Any

from duckdb import DuckDBPyConnection

from soundlake.dashboard.filters import Extent


def find_extent(cursor: DuckDBPyConnection, listener: str | None) -> Extent | None:
    """The first and last play of one listener or of all; None without plays."""
    first, last = _ask(
        cursor,
        """
        select min(played_at), max(played_at)
        from silver.silver_plays
        where cast($listener as varchar) is null or user_id = $listener
        """,
        listener=listener,
    )[0]
    return None if first is None else Extent(first, last)


def list_listeners(cursor: DuckDBPyConnection, limit: int) -> tuple[str, ...]:
    """The listeners with the most plays, in that order."""
    rows = _ask(
        cursor,
        "select user_id from silver.silver_plays group by user_id order by count(*) filter (is_listen) desc, user_id limit $limit",
        limit=limit,
    )
    return tuple(row[0] for row in rows)


def count_listeners(cursor: DuckDBPyConnection) -> int:
    """The number of listeners."""
    return int(_ask(cursor, "select count(distinct user_id) from silver.silver_plays")[0][0])


def list_devices(cursor: DuckDBPyConnection) -> tuple[str, ...]:
    """The device types of all plays, the most used first."""
    rows = _ask(
        cursor,
        "select coalesce(device_type, 'unknown') as device from silver.silver_plays group by device order by count(*) desc, device",
    )
    return tuple(row[0] for row in rows)


def _ask(cursor: DuckDBPyConnection, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
    return cursor.execute(statement, parameters).fetchall()
