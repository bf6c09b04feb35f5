"""Compare bronze with silver: both are counted from their rows, not from what the build reported."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from soundlake.contract import TOPICS
from soundlake.lake import Lake
from soundlake.lake.deleted_rows import DELETED_ROWS_APP_ID
from soundlake.reconciliation.models import Check

_EVENT_TYPES = "('play', 'skip', 'like', 'playlist')"
_BRONZE = f"""
select
    count(*) filter (event_type in {_EVENT_TYPES}) as events,
    count(distinct event_id) filter (event_type in {_EVENT_TYPES}) as distinct_events,
    count(*) filter (event_type = 'now_playing') as now_playing,
    count(distinct event_id) filter (event_type = 'now_playing') as distinct_now_playing
from bronze join watermarks using (table_name) where _batch <= low_batch
"""
_SILVER = """
select
    (select count(*) from silver.silver_plays) + (select count(*) from silver.silver_skips)
    + (select count(*) from silver.silver_likes) + (select count(*) from silver.silver_playlists) as silver,
    (select count(*) from silver.silver_observations where status = 'superseded') as superseded,
    (select count(distinct event_id) from silver.silver_rejected) as rejected,
    (select count(*) from raw.currently_playing) as now_playing
"""
_EVENT_STATES = """
select event_id, 'silver' as state from (
    select event_id from silver.silver_plays union all select event_id from silver.silver_skips
    union all select event_id from silver.silver_likes union all select event_id from silver.silver_playlists)
union all select event_id, 'superseded' from silver.silver_observations where status = 'superseded'
union all select distinct event_id, 'rejected' from silver.silver_rejected
union all select event_id, 'now_playing' from raw.currently_playing
"""
"""Where each event_id is."""

_STATES_OF_BRONZE = """
select coalesce(count(*) filter (state = 'silver'), 0), coalesce(count(*) filter (state = 'superseded'), 0),
    coalesce(count(*) filter (state = 'rejected'), 0), coalesce(count(*) filter (state = 'now_playing'), 0)
from event_states semi join bronze using (event_id)
"""
_FLAGS = " union all ".join(
    f"select unnest(string_split(quality_flags, ',')) as flag from silver.silver_{name} where quality_flags <> ''"
    for name in ("plays", "skips", "likes", "playlists")
)


def check_silver(db: duckdb.DuckDBPyConnection, lake: Lake) -> list[Check]:
    """Bronze up to the watermark = silver + repeats of an event_id + superseded + rejected by a rule."""
    with duckdb.connect() as counts:
        counts.execute("set TimeZone = 'UTC'")
        counts.register("bronze", _read_bronze(lake))
        counts.register("watermarks", db.execute("select table_name, low_batch from raw.bronze_windows").to_arrow_table())
        events, distinct, now_playing, distinct_now_playing = _fetch_numbers(counts, _BRONZE)
        if _has_deleted_rows(lake):  # silver keeps what retention has deleted from bronze
            counts.register("event_states", db.execute(_EVENT_STATES).to_arrow_table())
            silver, superseded, rejected, playing = _fetch_numbers(counts, _STATES_OF_BRONZE)
        else:
            silver, superseded, rejected, playing = _fetch_numbers(db, _SILVER)
    parts = {"silver": silver, "repeats": events - distinct, "superseded": superseded, "rejected": rejected}
    playing_parts = {"model": playing, "repeats": now_playing - distinct_now_playing}
    return [
        Check("bronze = silver + repeats + superseded + rejected", events, sum(parts.values()), parts),
        Check("bronze/now_playing = its model + repeats", now_playing, sum(playing_parts.values()), playing_parts),
    ]


def count_rules(db: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """The rows rejected by each rule, and the rows flagged by each."""
    rejected = dict(db.execute("select rule, count(*) from silver.silver_rejected group by 1 order by 2 desc, 1").fetchall())
    flagged = dict(db.execute(f"select flag, count(*) from ({_FLAGS}) group by 1 order by 2 desc, 1").fetchall())
    return rejected, flagged


def read_built_at(db: duckdb.DuckDBPyConnection) -> datetime | None:
    """The end of the build that made the snapshot, UTC."""
    row = db.execute("select max(finished_at) from raw.builds").fetchone()
    return row[0] if row else None


def count_waiting_rows(db: duckdb.DuckDBPyConnection, lake: Lake) -> int:
    """The number of rows of bronze that came after the snapshot's build."""
    watermarks = dict(db.execute("select table_name, low_batch from raw.bronze_windows").fetchall())
    waiting = 0
    for topic in TOPICS:
        batches = lake.read(topic.table, ["_batch"])["_batch"].to_numpy()
        waiting += int((batches > watermarks.get(topic.table, 0)).sum())
    return waiting


def _has_deleted_rows(lake: Lake) -> bool:
    return any(lake.open_table(topic.table).read_position(DELETED_ROWS_APP_ID) > 0 for topic in TOPICS)


def _read_bronze(lake: Lake) -> pa.Table:
    tables = []
    for topic in TOPICS:
        rows = lake.read(topic.table, ["event_id", "event_type", "_batch"])
        tables.append(rows.append_column("table_name", pa.repeat(topic.table, len(rows))))
    return pa.concat_tables(tables)


def _fetch_numbers(db: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = db.execute(query).fetchone()
    assert row is not None
    return tuple(map(int, row))
