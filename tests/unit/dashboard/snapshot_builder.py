"""Makes published snapshots with known plays, in the columns of silver and gold that the dashboard reads."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

LAST_PLAY = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
LONG_TITLE = (
    "The Unreasonably Long and Winding Title of a Song That Somebody Really Did Release (Live at the Old Lighthouse, 2019 Remaster)"
)
RTL_TITLE = "أغنية البحر الهادئ"
EMOJI_TITLE = "🌊 Lake Song 🎧 <b>not bold</b>"

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
from drawn join silver.silver_tracks as tracks on tracks.number = drawn.track
"""

_TRACKS = """
create table silver.silver_tracks as
select
    i as number,
    case when i % 4 = 3 then 'name:' || md5(cast(i as varchar)) else substr(md5(cast(i as varchar)), 1, 22) end as track_id,
    case i when 0 then $long when 1 then $rtl when 2 then $emoji else 'Track ' || i end as track_name,
    'artist-' || (i // 5) as artist_id,
    case when i // 5 = 3 then 'フジの山 Ensemble' else 'Artist ' || (i // 5) end as artist_name,
    'album-' || (i // 3) as album_id,
    'Album ' || (i // 3) as album_name,
    200000 as duration_ms, md5(cast(i as varchar)) as song_key, $last as first_seen_at,
    i % 4 = 2 as is_synthetic
from range($tracks) as numbers(i)
"""

_RECOMMENDATIONS = """
create table gold.user_recommendations as
select
    users.user_id, tracks.track_id, 5.0 / (1 + tracks.number) as recommendation_score, tracks.number + 1 as rank, 'similarity' as source,
    'because you played ' || tracks.artist_name as reason, tracks.track_name, tracks.artist_name, tracks.is_synthetic
from (select distinct user_id from silver.silver_plays) as users cross join (from silver.silver_tracks where number < 10) as tracks
"""


def publish_snapshot(
    warehouse: Path,
    snapshot_id: str,
    *,
    plays: int = 4000,
    listeners: int = 6,
    tracks: int = 40,
    days: int = 70,
    last: datetime = LAST_PLAY,
) -> Path:
    """Writes `snapshots/<id>.duckdb` and points `current.duckdb` at it, as the warehouse does; the path of the file."""
    folder = warehouse / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{snapshot_id}.duckdb"
    names = {"long": LONG_TITLE, "rtl": RTL_TITLE, "emoji": EMOJI_TITLE}
    with duckdb.connect(path) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema silver; create schema gold")
        connection.execute(_TRACKS, {"tracks": tracks, "last": last, **names})
        connection.execute(_PLAYS, {"plays": plays, "tracks": tracks, "listeners": listeners, "days": days, "last": last})
        connection.execute(_RECOMMENDATIONS)
    link = folder / f".{snapshot_id}.link"
    link.symlink_to(path.name)
    link.replace(folder / "current.duckdb")
    return path
