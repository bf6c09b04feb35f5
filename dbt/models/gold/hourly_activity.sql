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
    select
        date,
        cast(extract(hour from played_at) as integer) as hour,
        coalesce(device_type, 'unknown') as device_type,
        user_id,
        is_listen,
        is_skipped,
        heard_ms
    from silver_plays
    where {{ is_touched('silver_plays', ['date'], 'touched_days') }}
)

select
    date,
    hour,
    device_type,
    count(case when is_listen then 1 end) as plays,
    count(*) as plays_started,
    count(case when is_skipped then 1 end) as skips,
    count(is_skipped) as skip_known,
    count(distinct case when is_listen then user_id end) as listeners,
    cast(coalesce(sum(case when is_listen then heard_ms end), 0) as bigint) as heard_ms
from touched_plays
group by date, hour, device_type
