{{ config(
    materialized='incremental', incremental_strategy='replace_touched',
    touched_by='touched_days', touched_key=['user_id', 'date']
) }}

with silver_plays as (
    select
        *,
        played_date as date
    from {{ ref('silver_plays') }}
),

touched_plays as (
    select *
    from silver_plays
    where {{ is_touched('silver_plays', ['user_id', 'date'], 'touched_days') }}
),

days as (
    select
        user_id,
        date,
        count(case when is_listen then 1 end) as total_plays,
        count(case when content_type = 'track' then 1 end) as plays_started,
        count(case when content_type = 'track' and is_skipped then 1 end) as skips,
        count(distinct case when is_listen then track_id end) as unique_tracks,
        count(distinct case when is_listen then artist_name end) as unique_artists,
        cast(coalesce(sum(case when is_listen then heard_ms end), 0) as bigint) as heard_ms,
        avg(case when is_listen then duration_ms end) as mean_duration_ms,
        count(case when content_type <> 'track' then 1 end) as spoken_started,
        cast(coalesce(sum(case when content_type <> 'track' then heard_ms end), 0) as bigint) as spoken_ms
    from touched_plays
    group by user_id, date
)

select
    user_id,
    date,
    total_plays,
    unique_tracks,
    unique_artists,
    round(heard_ms / 60000, 2) as total_minutes_listened,
    cast(round(mean_duration_ms, 0) as bigint) as avg_track_duration_ms,
    plays_started,
    skips,
    heard_ms,
    spoken_started,
    round(spoken_ms / 60000, 2) as spoken_minutes
from days
