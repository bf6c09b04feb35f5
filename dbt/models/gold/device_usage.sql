{{ config(
    materialized='incremental', incremental_strategy='replace_touched',
    touched_by='touched_days', touched_key=['date']
) }}

with silver_plays as (
    select
        *,
        played_date as date
    from {{ ref('silver_plays') }}
    where content_type = 'track'
),

touched_plays as (
    select *
    from silver_plays
    where {{ is_touched('silver_plays', ['date'], 'touched_days') }}
),

device_days as (
    select
        date,
        coalesce(device_type, 'unknown') as device_type,
        count(case when is_listen then 1 end) as plays,
        count(*) as plays_started,
        count(case when is_skipped then 1 end) as skips,
        count(is_skipped) as skip_known,
        count(distinct case when is_listen then user_id end) as unique_listeners,
        count(distinct case when is_listen then track_id end) as unique_tracks,
        cast(coalesce(sum(case when is_listen then heard_ms end), 0) as bigint) as heard_ms
    from touched_plays
    group by date, coalesce(device_type, 'unknown')
)

select
    date,
    device_type,
    plays,
    plays_started,
    skips,
    skip_known,
    unique_listeners,
    unique_tracks,
    heard_ms,
    round(heard_ms / 60000, 2) as minutes_listened,
    round(plays / nullif(sum(plays) over (partition by date), 0), 6) as share_of_plays
from device_days
