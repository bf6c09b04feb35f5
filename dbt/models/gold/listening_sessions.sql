{{ config(materialized='incremental', incremental_strategy='replace_open_sessions') }}

{% set gap_minutes = 30 %}

with silver_plays as (
    select * from {{ ref('silver_plays') }}
),

touched_listeners as (
    select * from {{ ref('touched_listeners') }}
),

{% if is_incremental() %}

    closed_sessions as (
        select
            touched_listeners.user_id,
            max(sessions.open_until) as open_until
        from touched_listeners
        left join {{ this }} as sessions
            on touched_listeners.user_id = sessions.user_id and touched_listeners.first_touched_at > sessions.open_until
        group by touched_listeners.user_id
    ),

    plays_of_open_sessions as (
        select silver_plays.*
        from silver_plays
        inner join closed_sessions on silver_plays.user_id = closed_sessions.user_id
        where closed_sessions.open_until is null or silver_plays.played_at > closed_sessions.open_until
    ),

{% else %}

    plays_of_open_sessions as (
        select * from silver_plays
    ),

{% endif %}

ended_plays as (
    select
        user_id,
        played_at,
        content_type,
        track_id,
        is_listen,
        is_skipped,
        heard_ms,
        {{ dbt.dateadd('millisecond', 'coalesce(heard_ms, 0)', 'played_at') }} as ended_at
    from plays_of_open_sessions
),

plays_after_others as (
    select
        *,
        max(ended_at) over (
            partition by user_id order by played_at rows between unbounded preceding and 1 preceding
        ) as others_ended_at
    from ended_plays
),

numbered_plays as (
    select
        *,
        sum(case when played_at <= {{ dbt.dateadd('minute', gap_minutes, 'others_ended_at') }} then 0 else 1 end) over (
            partition by user_id order by played_at range between unbounded preceding and current row
        ) as session_number
    from plays_after_others
),

sessions as (
    select
        user_id,
        min(played_at) as started_at,
        max(ended_at) as ended_at,
        count(*) as plays_started,
        count(case when is_listen then 1 end) as plays,
        count(case when content_type = 'track' and is_skipped then 1 end) as skips,
        count(distinct case when is_listen then track_id end) as unique_tracks,
        cast(coalesce(sum(heard_ms), 0) as bigint) as heard_ms
    from numbered_plays
    group by user_id, session_number
)

select
    user_id,
    started_at,
    ended_at,
    cast(started_at as date) as date,
    plays_started,
    plays,
    skips,
    unique_tracks,
    heard_ms,
    round(heard_ms / 60000, 2) as minutes_heard,
    {{ dbt.dateadd('minute', gap_minutes, 'ended_at') }} as open_until
from sessions
