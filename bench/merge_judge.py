"""Judge which rows the warehouse took for one play, against the true play of each row (for bench/merge.py and its test)."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pyarrow as pa

_ROWS = """
create temp table shown as
select
    play_id, user_id, event_id, source, stamp, nfc_normalize(artist_name) as artist, nfc_normalize(track_name) as track, ms_played, faults,
    case when view like 'spotify-export-short%' then 'short' when view like 'spotify-export%' then 'extended' else source end as kind
from rows where stamp is not null
"""
_STORED = """
create temp table stored as
select
    event_id, user_id, played_at, nfc_normalize(artist_name) as artist, nfc_normalize(track_name) as track, ms_played,
    case when source = 'spotify_export' then split_part(source_ref, ':', 1) else source end as kind,
    case
        when source = 'spotify_export' then cast(regexp_replace(source_ref, '^[a-z]+:|Z.*$', '', 'g') as timestamp)
        else cast(timezone('UTC', played_at) as timestamp)
    end as stamp
from bronze
"""
_IDENTIFIED = """
create temp table identified as
with plays_of_key as (
    select known.*, started_at, row_number() over (partition by user_id, kind, stamp, artist, track, ms_played order by started_at) as place
    from (select distinct play_id, user_id, kind, stamp, artist, track, ms_played from shown where event_id is null) as known
    join (select event_id as play_id, played_at as started_at from plays) using (play_id)
),
rows_of_key as (
    select *, row_number() over (partition by user_id, kind, stamp, artist, track, ms_played order by event_id) as place from stored
),
candidates as (
    select
        rows_of_key.event_id, rows_of_key.kind, plays_of_key.play_id, rows_of_key.place = plays_of_key.place as is_in_turn,
        abs(epoch(rows_of_key.played_at) - epoch(plays_of_key.started_at)) as seconds_apart
    from rows_of_key
    join plays_of_key on
        plays_of_key.user_id = rows_of_key.user_id and plays_of_key.kind = rows_of_key.kind and plays_of_key.stamp = rows_of_key.stamp
        and plays_of_key.artist is not distinct from rows_of_key.artist and plays_of_key.track is not distinct from rows_of_key.track
        and plays_of_key.ms_played is not distinct from rows_of_key.ms_played
)
select distinct stored.event_id, stored.kind, shown.play_id from stored join shown using (event_id)
union all
select event_id, kind, play_id from candidates
qualify row_number() over (
    partition by event_id order by case when kind = 'extended' then seconds_apart when is_in_turn then 0 else 1 end, play_id
) = 1
"""
"""The true play of each stored row: by the id where the view gives it, else by what the row says. Several plays that a row can show: of an
extended export the one with the nearest start, else one after the other, since such rows are interchangeable."""
_JUDGED = """
create temp table judged as
select identified.event_id, identified.kind, identified.play_id as true_id, observed.play_id as found_id
from identified join silver.silver_observations as observed using (event_id)
"""
_PAIRS = """
create temp table pairs as
with pairs_of as (
    select one.event_id as event_1, two.event_id as event_2, one.kind as kind_1, two.kind as kind_2, one.true_id = two.true_id as is_true,
        one.found_id = two.found_id as is_found
    from judged as one join judged as two on one.true_id = two.true_id and one.event_id < two.event_id
    union
    select one.event_id, two.event_id, one.kind, two.kind, one.true_id = two.true_id, one.found_id = two.found_id
    from judged as one join judged as two on one.found_id = two.found_id and one.event_id < two.event_id
)
select * exclude (kind_1, kind_2), least(kind_1, kind_2) || ' ' || greatest(kind_1, kind_2) as kinds from pairs_of
"""
_COUNTS = """
select
    {by} as kinds, count(*) filter (is_true) as pairs, count(*) filter (is_true and is_found) as right_pairs,
    count(*) filter (is_found) as found_pairs
from pairs group by all order by 1
"""
_ERRORS = """
with known as (select play_id, kind, string_agg(distinct faults, ' ') as faults from shown group by all),
described as (
    select identified.event_id, known.faults
    from identified join known on known.play_id = identified.play_id and known.kind = identified.kind
)
select
    case when is_true then 'not found' else 'not one play' end as error, kinds, one.faults || ' | ' || two.faults as faults,
    count(*) as errors, any_value(event_1 || ' ' || event_2) as example
from pairs join described as one on one.event_id = event_1 join described as two on two.event_id = event_2
where is_true <> is_found group by all order by errors desc limit 40
"""


def judge(bronze: pa.Table, rows: pa.Table, plays: pa.Table, database: Path) -> dict[str, object]:
    """Precision and recall over pairs, and minutes. `rows`: the true play of each row of the views; `plays`: the truth.

    Raises AssertionError if a stored row is none that a view wrote.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("rows", rows)
        connection.register("bronze", bronze)
        connection.register("plays", plays)
        for statement in (_ROWS, _STORED, _IDENTIFIED):
            connection.execute(statement)
        unknown = connection.sql("select * from stored anti join identified using (event_id)")
        assert not (count := len(unknown)), (
            f"{count:,} of {len(bronze):,} stored rows are none that a view wrote: {unknown.limit(3).fetchall()}"
        )
        for statement in (_JUDGED, _PAIRS):
            connection.execute(statement)
        by_kinds = {name: _score(*counts) for name, *counts in connection.sql(_COUNTS.format(by="kinds")).fetchall()}
        (_, *overall) = connection.sql(_COUNTS.format(by="'all'")).fetchall()[0]
        _print_errors(connection)
        return {
            **_count_rows(connection), **_score(*overall), "minutes_off_percent": _compare_minutes(connection), "by_source_pair": by_kinds,
        }  # fmt: skip


def _score(pairs: int, right: int, found: int) -> dict[str, float]:
    return {"precision": round(right / max(found, 1), 5), "recall": round(right / max(pairs, 1), 5), "pairs": pairs}


def _count_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    statement = """
        select (select count(*) from plays), (select count(distinct play_id) from shown), (select count(*) from silver.silver_plays),
            (select count(*) from stored), (select count(*) from judged)
    """
    counts = connection.sql(statement).fetchone()
    assert counts is not None
    return dict(zip(("plays", "plays_shown", "plays_found", "rows_stored", "rows_judged"), counts, strict=True))


def _compare_minutes(connection: duckdb.DuckDBPyConnection) -> float:
    """How many percent silver_plays has more than the plays that a view shows."""
    row = connection.sql("""
        select (select sum(coalesce(ms_played, duration_ms)) from silver.silver_plays),
            (select sum(ms_played) from plays semi join shown on plays.event_id = shown.play_id)
    """).fetchone()
    assert row is not None
    return round(100.0 * (float(row[0]) / float(row[1]) - 1), 3)


def _print_errors(connection: duckdb.DuckDBPyConnection) -> None:
    for error, kinds, faults, pairs, example in connection.sql(_ERRORS).fetchall():
        print(f"{pairs:>8,} {error}: {kinds}: {faults}: {example}", file=sys.stderr)
