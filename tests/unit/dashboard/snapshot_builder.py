"""Publishes snapshots with known plays, in the columns of silver and gold that the dashboard reads.

Every snapshot is checked against the models' own YAML: no column that a model does not have, no value that its tests reject.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

MODELS = Path(__file__).parents[3] / "dbt" / "models"

LAST_PLAY = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
LONG_TITLE = (
    "The Unreasonably Long and Winding Title of a Song That Somebody Really Did Release (Live at the Old Lighthouse, 2019 Remaster)"
)
RTL_TITLE = "أغنية البحر الهادئ"
EMOJI_TITLE = "🌊 Lake Song 🎧 <b>not bold</b>"

_BUILDS = """
create table raw.builds (build bigint, is_full_refresh boolean, fingerprint varchar, started_at timestamptz, finished_at timestamptz)
"""

_PLAYS = """
create table silver.silver_plays as
with numbers as (select i, hash(i) as h, hash(i * 7 + 1) as g from range($plays) as numbers(i)),
drawn as (
    select
        i, h, g,
        -- cubed: few tracks and listeners have most of the plays
        cast(floor(power((h % 100000) / 100000.0, 3) * $tracks) as bigint) as track,
        cast(floor(power((g % 100000) / 100000.0, 2) * $listeners) as bigint) as listener,
        $last - to_seconds(cast(floor(i * ($days * 86400.0 / $plays)) as bigint)) as played_at
    from numbers
)
select
    cast(uuid() as varchar) as event_id,
    'listener_' || lpad(cast(listener as varchar), 5, '0') as user_id,
    played_at,
    'measured' as played_at_basis,
    cast(null as varchar) as session_id,
    'track' as content_type,
    tracks.track_id, tracks.track_name, tracks.artist_id, tracks.artist_name, tracks.album_id, tracks.album_name, tracks.duration_ms,
    case when g % 5 = 0 then 12000 else 180000 end as ms_played,
    case when g % 5 = 0 then 12000 else 180000 end as heard_ms,
    tracks.song_key,
    g % 5 <> 0 as is_listen,
    'clickrow' as reason_start,
    case when g % 5 = 0 then 'fwdbtn' else 'trackdone' end as reason_end,
    case when h % 11 = 0 then null else g % 5 = 0 end as is_skipped,
    false as is_shuffle, false as is_offline, false as is_private, cast(null as varchar) as context_uri,
    case h % 7 when 0 then 'desktop' when 1 then 'speaker' when 2 then null when 3 then 'desktop' else 'mobile' end as device_type,
    cast(null as varchar) as platform, 'SE' as country, 'generator' as source, cast(null as varchar) as source_ref,
    played_at as produced_at, '' as quality_flags, 'generator' as matched_sources, cast(played_at as date) as played_date,
    played_at as processed_at
from drawn join tracks on tracks.number = drawn.track
"""

_TRACKS = """
create temporary table tracks as
select
    i as number,
    case when i % 4 = 3 then 'name:' || md5(cast(i as varchar)) else substr(md5(cast(i as varchar)), 1, 22) end as track_id,
    case i when 0 then $long when 1 then $rtl when 2 then $emoji else 'Track ' || i end as track_name,
    'artist-' || (i // 5) as artist_id,
    case when i // 5 = 3 then 'フジの山 Ensemble' else 'Artist ' || (i // 5) end as artist_name,
    'album-' || (i // 3) as album_id,
    'Album ' || (i // 3) as album_name,
    'track' as content_type, 200000 as duration_ms, md5(cast(i as varchar)) as song_key, $last as first_seen_at,
    i % 4 = 2 as is_synthetic
from range($tracks) as numbers(i)
"""

_RECOMMENDATIONS = """
create table gold.user_recommendations as
select
    users.user_id, tracks.track_id, 5.0 / (1 + tracks.number) as recommendation_score, tracks.number + 1 as rank, 'co_listening' as source,
    'because you played ' || tracks.artist_name as reason, tracks.track_name, tracks.artist_name, tracks.is_synthetic
from (select distinct user_id from silver.silver_plays) as users
cross join (from tracks where number < 10) as tracks
"""

_TABLES = ("silver.silver_tracks", "silver.silver_plays", "gold.user_recommendations")


def publish_snapshot(
    warehouse: Path,
    snapshot_id: str,
    *,
    plays: int = 4000,
    listeners: int = 6,
    tracks: int = 40,
    days: int = 70,
    last: datetime = LAST_PLAY,
    built_at: datetime | None = None,
    change: str = "select 1",
) -> Path:
    """Writes `snapshots/<id>.duckdb` and points `current.duckdb` at it, as the warehouse does; returns the path of the file.

    The build ended half an hour after the last play, or at `built_at`; `change` is SQL that changes the plays before the check.
    """
    folder = warehouse / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{snapshot_id}.duckdb"
    names = {"long": LONG_TITLE, "rtl": RTL_TITLE, "emoji": EMOJI_TITLE}
    with duckdb.connect(path) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema raw; create schema silver; create schema gold")
        connection.execute(_BUILDS)
        built_at = built_at or last + timedelta(minutes=30)
        connection.execute(
            "insert into raw.builds values (1, true, '', $built_at, $built_at), (2, false, '', $built_at, null)", {"built_at": built_at}
        )
        connection.execute(_TRACKS, {"tracks": tracks, "last": last, **names})
        connection.execute("create table silver.silver_tracks as select * exclude (number) from tracks")
        connection.execute(_PLAYS, {"plays": plays, "tracks": tracks, "listeners": listeners, "days": days, "last": last})
        connection.execute(change)
        connection.execute(_RECOMMENDATIONS)
        for table in _TABLES:
            check_table(connection, table)
    link = folder / f".{snapshot_id}.link"
    link.symlink_to(path.name)
    link.replace(folder / "current.duckdb")
    return path


def check_table(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Compares a table with its model's YAML. Raises AssertionError at a column or a value that the model does not allow."""
    allowed = read_columns(table)
    columns = {name for name, *_ in connection.execute(f"describe {table}").fetchall()}
    assert columns <= set(allowed), f"{table}: the model has no column {sorted(columns - set(allowed))}"
    for name in sorted(columns):
        tests = [test if isinstance(test, dict) else {test: {}} for test in allowed[name].get("data_tests", [])]
        for values in (test["accepted_values"]["arguments"]["values"] for test in tests if "accepted_values" in test):
            found = {value for (value,) in connection.execute(f"select distinct {name} from {table} where {name} is not null").fetchall()}
            assert found <= set(values), f"{table}.{name}: the model accepts {values}, not {sorted(found - set(values))}"
        if any("not_null" in test for test in tests):
            (nulls,) = connection.execute(f"select count(*) from {table} where {name} is null").fetchone() or (0,)
            assert nulls == 0, f"{table}.{name}: the model accepts no null"


@cache
def read_columns(table: str) -> dict[str, dict[str, Any]]:
    """The columns of a model's YAML by name."""
    layer, model = table.split(".")
    (described,) = yaml.load((MODELS / layer / f"{model}.yml").read_text(), yaml.CSafeLoader)["models"]
    return {column["name"]: column for column in described["columns"]}
