with track_popularity as (
    select * from {{ ref('track_popularity') }}
),

artist_stats as (
    select * from {{ ref('artist_stats') }}
),

device_usage as (
    select * from {{ ref('device_usage') }}
),

hourly_activity as (
    select * from {{ ref('hourly_activity') }}
),

subjects as (
    select
        'track' as subject,
        track_id as subject_id,
        track_name as subject_name,
        started_count as plays_started,
        skip_count as skips
    from track_popularity
    union all
    select
        'artist' as subject,
        artist_key as subject_id,
        artist_name as subject_name,
        started_count as plays_started,
        skip_count as skips
    from artist_stats
    union all
    select
        'device_type' as subject,
        device_type as subject_id,
        device_type as subject_name,
        cast(sum(plays_started) as bigint) as plays_started,
        cast(sum(skips) as bigint) as skips
    from device_usage
    group by device_type
    union all
    select
        'hour' as subject,
        cast(hour as {{ dbt.type_string() }}) as subject_id,
        cast(hour as {{ dbt.type_string() }}) as subject_name,
        cast(sum(plays_started) as bigint) as plays_started,
        cast(sum(skips) as bigint) as skips
    from hourly_activity
    group by hour
)

select
    subject,
    subject_id,
    subject_name,
    plays_started,
    skips,
    round(skips / nullif(plays_started, 0), 6) as skip_rate
from subjects
