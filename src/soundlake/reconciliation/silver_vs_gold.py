"""Compare gold with silver: each model of gold is computed again from the plays."""

from __future__ import annotations

import duckdb

from soundlake.reconciliation.models import Check

_SKIPS = "count(*) filter (is_skipped), count(is_skipped)"
_SKIP_RATE = "round(count(*) filter (is_skipped) / nullif(count(is_skipped), 0), 6)"
_LISTENS = "count(*) filter (is_listen)"
_LISTENERS = "count(distinct user_id) filter (is_listen)"
_HEARD = "coalesce(sum(heard_ms) filter (is_listen), 0)"
_TRACK_PLAYS = "silver.silver_plays p join silver.silver_tracks t on p.track_id = t.track_id and t.content_type = 'track'"
_ARTIST = "nullif(trim(regexp_replace(lower(t.artist_name), '[[:space:]]+', ' ', 'g')), '')"
_GOLD = {
    "user_daily_listening = recomputed from silver": (
        """select user_id, date, total_plays, unique_tracks, unique_artists, heard_ms, total_minutes_listened, avg_track_duration_ms,
               plays_started
           from gold.user_daily_listening""",
        f"""select user_id, cast(played_at as date), {_LISTENS}, count(distinct track_id) filter (is_listen),
               count(distinct artist_name) filter (is_listen), {_HEARD}, round({_HEARD} / 60000, 2),
               cast(round(avg(duration_ms) filter (is_listen), 0) as bigint), count(*) filter (content_type = 'track')
           from silver.silver_plays group by 1, 2""",
    ),
    "track_popularity = recomputed from silver": (
        """select track_id, play_count, unique_listeners, started_count, heard_ms, skip_count, skip_known_count, avg_listen_duration
           from gold.track_popularity""",
        f"""select p.track_id, {_LISTENS}, {_LISTENERS}, count(*), {_HEARD}, {_SKIPS},
               cast(round({_HEARD} / nullif({_LISTENS}, 0), 0) as bigint)
           from {_TRACK_PLAYS} group by 1""",
    ),
    "artist_stats = recomputed from silver": (
        """select artist_key, play_count, unique_listeners, unique_tracks, started_count, heard_ms, skip_count, skip_known_count
           from gold.artist_stats""",
        f"""select {_ARTIST} as artist, {_LISTENS}, {_LISTENERS},
               count(distinct p.track_id) filter (is_listen), count(*), {_HEARD}, {_SKIPS}
           from {_TRACK_PLAYS} where {_ARTIST} is not null group by 1""",
    ),
    "device_usage = recomputed from silver": (
        """select date, device_type, plays, plays_started, skips, skip_known, unique_listeners, unique_tracks, heard_ms
           from gold.device_usage""",
        f"""select cast(played_at as date), coalesce(device_type, 'unknown'), {_LISTENS}, count(*), {_SKIPS},
               {_LISTENERS}, count(distinct track_id) filter (is_listen), {_HEARD}
           from silver.silver_plays where content_type = 'track' group by 1, 2""",
    ),
    "hourly_activity = recomputed from silver": (
        "select date, hour, device_type, plays, plays_started, skips, skip_known, listeners, heard_ms from gold.hourly_activity",
        f"""select cast(played_at as date), cast(extract(hour from played_at) as integer), coalesce(device_type, 'unknown'),
               {_LISTENS}, count(*), {_SKIPS}, {_LISTENERS}, {_HEARD}
           from silver.silver_plays where content_type = 'track' group by 1, 2, 3""",
    ),
    "listening_sessions hold every play": (
        "select user_id, sum(plays_started), sum(plays), sum(heard_ms) from gold.listening_sessions group by 1",
        f"select user_id, count(*), {_LISTENS}, coalesce(sum(heard_ms), 0) from silver.silver_plays group by 1",
    ),
    "skip_rates = recomputed from silver": (
        "select subject_id, plays_started, skips, skip_known, skip_rate from gold.skip_rates where subject in ('track', 'device_type')",
        f"""select p.track_id as subject_id, count(*), {_SKIPS}, {_SKIP_RATE}
           from {_TRACK_PLAYS} group by 1
           union all
           select coalesce(device_type, 'unknown'), count(*), {_SKIPS}, {_SKIP_RATE}
           from silver.silver_plays where content_type = 'track' group by 1""",
    ),
    "recommendations were never listened to": (
        """select r.user_id, r.track_id
           from gold.user_recommendations r join silver.silver_plays p using (user_id, track_id) where p.is_listen""",
        "select null, null where false",
    ),
    "recommendations and similar tracks are ranked from 1 to 10": (
        """select user_id from gold.user_recommendations group by 1
           having count(distinct rank) <> count(*) or min(rank) <> 1 or max(rank) <> count(*) or count(*) > 10
           union all
           select track_id from gold.track_similarity group by 1
           having count(distinct rank) <> count(*) or min(rank) <> 1 or max(rank) <> count(*) or count(*) > 10""",
        "select null where false",
    ),
}  # fmt: skip


def check_gold(db: duckdb.DuckDBPyConnection) -> list[Check]:
    """One check for each model: rows that only gold has, and rows that only the computation from silver gives."""
    checks = []
    for name, (gold, recomputed) in _GOLD.items():
        surplus, missing = (_count(db, f"({one}) except all ({other})") for one, other in ((gold, recomputed), (recomputed, gold)))
        checks.append(Check(name, 0, surplus + missing, {"only in gold": surplus, "only in silver": missing}))
    return checks


def _count(db: duckdb.DuckDBPyConnection, query: str) -> int:
    row = db.execute(f"select count(*) from ({query})").fetchone()
    return int(row[0]) if row else 0
