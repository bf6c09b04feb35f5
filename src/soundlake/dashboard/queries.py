"""The questions that the pages ask a snapshot: one function each, with typed answers; every filter is a bound parameter.

All of them count music only. Plays are listens (`is_listen`), as in gold. Skip rates and the device mix count every started track; a skip
rate only those of which the source reports whether they were skipped. All times are UTC.
"""

from __future__ import annotations

from typing import Any

from duckdb import DuckDBPyConnection

from soundlake.dashboard.filters import Filters, Grain
from soundlake.dashboard.query_results import (
    Bucket,
    Content,
    DeviceBucket,
    DeviceUsage,
    HourOfWeek,
    Measure,
    RankedItem,
    Recommendation,
    Summary,
)

_CHOSEN = """
    chosen as (
        select *, coalesce(device_type, 'unknown') as device
        from silver.silver_plays
        where content_type = 'track'
            and played_at >= $since
            and played_at < $until
            and (cast($listener as varchar) is null or user_id = $listener)
            and (len(cast($devices as varchar[])) = 0 or list_contains(cast($devices as varchar[]), coalesce(device_type, 'unknown')))
    ),
    listens as (select * from chosen where is_listen)
"""


def has_plays(cursor: DuckDBPyConnection, filters: Filters) -> bool:
    """Whether any track was started."""
    return bool(_ask(cursor, filters, "select exists(from chosen)")[0][0])


def summarize(cursor: DuckDBPyConnection, filters: Filters) -> Summary:
    """The figures of the window."""
    row = _ask(
        cursor,
        filters,
        """
        select
            count(*) filter (is_listen),
            coalesce(sum(heard_ms) filter (is_listen), 0),
            count(distinct track_id) filter (is_listen),
            count(distinct artist_name) filter (is_listen),
            count(distinct user_id) filter (is_listen),
            count(distinct played_date) filter (is_listen),
            count(*),
            avg(cast(is_skipped as integer))
        from chosen
        """,
    )[0]
    return Summary(*row)


def list_buckets(cursor: DuckDBPyConnection, filters: Filters, grain: Grain) -> tuple[Bucket, ...]:
    """The buckets of the window in order of time, without gaps."""
    rows = _ask(
        cursor,
        filters,
        """
        , buckets as (
            select cast(unnest(generate_series(
                date_trunc($grain, cast($first_day as date)), date_trunc($grain, cast($last_day as date)), cast('1 ' || $grain as interval)
            )) as date) as start
        ),
        counted as (
            select
                cast(date_trunc($grain, played_date) as date) as start,
                count(*) filter (is_listen) as plays,
                sum(heard_ms) filter (is_listen) as heard_ms,
                count(distinct track_id) filter (is_listen) as tracks,
                count(distinct artist_name) filter (is_listen) as artists,
                count(distinct user_id) filter (is_listen) as listeners,
                avg(cast(is_skipped as integer)) as skip_rate
            from chosen
            group by 1
        )
        select
            greatest(start, cast($first_day as date)),
            least(cast(start + cast('1 ' || $grain as interval) as date) - 1, cast($last_day as date)),
            coalesce(plays, 0), coalesce(heard_ms, 0), coalesce(tracks, 0), coalesce(artists, 0), coalesce(listeners, 0), skip_rate
        from buckets
        left join counted using (start)
        order by start
        """,
        grain=grain,
        first_day=filters.window.first_day,
        last_day=filters.window.last_day,
    )
    return tuple(Bucket(*row) for row in rows)


_RANKED: dict[Content, str] = {
    "track": """
        select track_name as name, artist_name as by_name, plays, heard_ms, track_id, is_synthetic
        from (select track_id, count(*) as plays, sum(heard_ms) as heard_ms from listens group by track_id)
        left join silver.silver_tracks using (track_id)
    """,
    "artist": """
        select artist_name as name, null as by_name, count(*) as plays, sum(heard_ms) as heard_ms, null as track_id, null as is_synthetic
        from listens
        where artist_name is not null
        group by artist_name
    """,
    "album": """
        select
            album_name as name, artist_name as by_name, count(*) as plays, sum(heard_ms) as heard_ms,
            null as track_id, null as is_synthetic
        from listens
        where album_name is not null
        group by album_name, artist_name
    """,
}


def rank_content(cursor: DuckDBPyConnection, filters: Filters, content: Content, measure: Measure, limit: int) -> tuple[RankedItem, ...]:
    """The top tracks, artists or albums by plays or by listening time; ties by name, then by id."""
    rows = _ask(
        cursor,
        filters,
        f"""
        , ranked as ({_RANKED[content]}),
        total as (select count(*) as plays, sum(heard_ms) as heard_ms from listens)
        select
            coalesce(name, ranked.track_id), by_name, ranked.plays, coalesce(ranked.heard_ms, 0),
            coalesce(if($measure = 'time', ranked.heard_ms / total.heard_ms, ranked.plays / total.plays), 0),
            track_id, coalesce(is_synthetic, false)
        from ranked cross join total
        order by if($measure = 'time', ranked.heard_ms, ranked.plays) desc nulls last, name, by_name, track_id
        limit $limit
        """,  # noqa: S608  # _RANKED's constants alone enter the text
        measure=measure,
        limit=limit,
    )
    return tuple(RankedItem(*row) for row in rows)


def average_week(cursor: DuckDBPyConnection, filters: Filters) -> tuple[HourOfWeek, ...]:
    """Plays of each of the 168 hours of the week, from Monday, and how often the window has that hour; the window must be whole hours."""
    rows = _ask(
        cursor,
        filters,
        """
        , hours as (
            select weekday, hour
            from (select unnest(range(1, 8)) as weekday) cross join (select unnest(range(24)) as hour)
        ),
        occurring as (
            select isodow(begin) as weekday, hour(begin) as hour, count(*) as occurrences
            from (select unnest(range(cast($since as timestamptz), cast($until as timestamptz), interval 1 hour)) as begin)
            group by 1, 2
        ),
        counted as (
            select isodow(played_at) as weekday, hour(played_at) as hour, count(*) as plays
            from listens
            group by 1, 2
        )
        select hours.weekday, hours.hour, coalesce(plays, 0), coalesce(occurrences, 0)
        from hours
        left join occurring using (weekday, hour)
        left join counted using (weekday, hour)
        order by 1, 2
        """,
    )
    return tuple(HourOfWeek(*row) for row in rows)


def list_device_buckets(cursor: DuckDBPyConnection, filters: Filters, grain: Grain) -> tuple[DeviceBucket, ...]:
    """Started plays of each device type, bucket by bucket; buckets without a play are left out."""
    rows = _ask(
        cursor,
        filters,
        """
        , counted as (
            select cast(date_trunc($grain, played_date) as date) as start, device, count(*) as started
            from chosen
            group by 1, 2
        )
        select
            greatest(start, cast($first_day as date)),
            least(cast(start + cast('1 ' || $grain as interval) as date) - 1, cast($last_day as date)),
            device, started
        from counted
        order by 1, device
        """,
        grain=grain,
        first_day=filters.window.first_day,
        last_day=filters.window.last_day,
    )
    return tuple(DeviceBucket(*row) for row in rows)


def summarize_devices(cursor: DuckDBPyConnection, filters: Filters) -> tuple[DeviceUsage, ...]:
    """The use of each device type; by started plays, the most used first."""
    rows = _ask(
        cursor,
        filters,
        """
        select
            device, count(*), count(*) filter (is_listen), coalesce(sum(heard_ms) filter (is_listen), 0), avg(cast(is_skipped as integer))
        from chosen
        group by device
        order by 2 desc, 1
        """,
    )
    return tuple(DeviceUsage(*row) for row in rows)


def list_recommendations(cursor: DuckDBPyConnection, listener: str) -> tuple[Recommendation, ...]:
    """The recommendations for one listener, the best first."""
    rows = _fetch(
        cursor,
        """
        select
            rank, track_id, track_name, artist_name, album_name, recommendation_score, source, reason, coalesce(is_synthetic, false)
        from gold.user_recommendations
        left join (select track_id, album_name from silver.silver_tracks) using (track_id)
        where user_id = $listener
        order by rank
        """,
        listener=listener,
    )
    return tuple(Recommendation(*row) for row in rows)


def _ask(cursor: DuckDBPyConnection, filters: Filters, question: str, **parameters: object) -> list[tuple[Any, ...]]:
    return _fetch(
        cursor,
        f"with {_CHOSEN} {question}",
        since=filters.window.since,
        until=filters.window.until,
        listener=filters.listener,
        devices=list(filters.devices),
        **parameters,
    )


def _fetch(cursor: DuckDBPyConnection, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
    return cursor.execute(statement, parameters).fetchall()
