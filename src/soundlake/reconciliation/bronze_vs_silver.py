"""Bronze against silver: counted anew from the rows, not taken from what the build said."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from soundlake.contract import TOPICS
from soundlake.lake import Lake
from soundlake.lake.retention import DELETED_ROWS_APP_ID
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
_EXPLAINED = """
select event_id, 'silver' as fate from (
    select event_id from silver.silver_plays union all select event_id from silver.silver_skips
    union all select event_id from silver.silver_likes union all select event_id from silver.silver_playlists)
union all select event_id, 'superseded' from silver.silver_observations where status = 'superseded'
union all select distinct event_id, 'rejected' from silver.silver_rejected
union all select event_id, 'now_playing' from raw.currently_playing
"""
"""What silver made of each event_id."""

_STILL_THERE = """
select coalesce(count(*) filter (fate = 'silver'), 0), coalesce(count(*) filter (fate = 'superseded'), 0),
    coalesce(count(*) filter (fate = 'rejected'), 0), coalesce(count(*) filter (fate = 'now_playing'), 0)
from explained semi join bronze using (event_id)
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
        if any(
            lake.open_table(topic.table).read_position(DELETED_ROWS_APP_ID) > 0 for topic in TOPICS
        ):  # silver keeps what retention took from bronze
            counts.register("explained", db.execute(_EXPLAINED).to_arrow_table())
            silver, superseded, rejected, playing = _fetch_numbers(counts, _STILL_THERE)
        else:
            silver, superseded, rejected, playing = _fetch_numbers(db, _SILVER)
    parts = {"silver": silver, "repeats": events - distinct, "superseded": superseded, "rejected": rejected}
    playing_parts = {"model": playing, "repeats": now_playing - distinct_now_playing}
    return [
        Check("bronze = silver + repeats + superseded + rejected", events, sum(parts.values()), parts),
        Check("bronze/now_playing = its model + repeats", now_playing, sum(playing_parts.values()), playing_parts),
    ]


def count_rules(db: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Rows rejected by each rule, and rows flagged by each."""
    rejected = dict(db.execute("select rule, count(*) from silver.silver_rejected group by 1 order by 2 desc, 1").fetchall())
    flagged = dict(db.execute(f"select flag, count(*) from ({_FLAGS}) group by 1 order by 2 desc, 1").fetchall())
    return rejected, flagged


def read_built_at(db: duckdb.DuckDBPyConnection) -> datetime | None:
    """When the build behind the snapshot ended, UTC."""
    row = db.execute("select max(finished_at) from raw.builds").fetchone()
    return row[0] if row else None


def count_unread(db: duckdb.DuckDBPyConnection, lake: Lake) -> int:
    """Rows of bronze that the snapshot does not know yet."""
    watermarks = dict(db.execute("select table_name, low_batch from raw.bronze_windows").fetchall())
    unread = 0
    for topic in TOPICS:
        batches = lake.read(topic.table, ["_batch"])["_batch"].to_numpy()
        unread += int((batches > watermarks.get(topic.table, 0)).sum())
    return unread


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
