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
        skip_count as skips,
        skip_known_count as skip_known
    from track_popularity
    union all
    select
        'artist' as subject,
        artist_key as subject_id,
        artist_name as subject_name,
        started_count as plays_started,
        skip_count as skips,
        skip_known_count as skip_known
    from artist_stats
    union all
    select
        'device_type' as subject,
        device_type as subject_id,
        device_type as subject_name,
        cast(sum(plays_started) as bigint) as plays_started,
        cast(sum(skips) as bigint) as skips,
        cast(sum(skip_known) as bigint) as skip_known
    from device_usage
    group by device_type
    union all
    select
        'hour' as subject,
        cast(hour as {{ dbt.type_string() }}) as subject_id,
        cast(hour as {{ dbt.type_string() }}) as subject_name,
        cast(sum(plays_started) as bigint) as plays_started,
        cast(sum(skips) as bigint) as skips,
        cast(sum(skip_known) as bigint) as skip_known
    from hourly_activity
    group by hour
)

select
    subject,
    subject_id,
    subject_name,
    plays_started,
    skips,
    skip_known,
    round(skips / nullif(skip_known, 0), 6) as skip_rate
from subjects
