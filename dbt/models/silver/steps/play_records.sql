{{ config(
    materialized='incremental', incremental_strategy='replace_touched', touched_by='touched_records', touched_key=['event_id']
) }}

{#
  Rows of several downloads that are one row of their service: they state the same moment, the same length and the same song. Twins, which look
  alike in one download, have numbers: the first of one download is the first of the other. See docs/decisions/0019.
#}
-- depends_on: {{ ref('replaced_records') }}
{% set look = 'user_id, source_class, stated_at, ms_played' %}

with observations as (
    select
        event_id, user_id, source_class, priority, played_at_basis, started_at, ended_at, stated_at, ms_played, duration_ms, track_id,
        artist_name, track_name, source_ref, reason_start, reason_end,
        {{ isrc() }} as isrc,
        {{ match_name('track_name') }} as title_key,
        {{ match_name('artist_name') }} as artist_key
    from {{ ref('play_observations') }} as play_observations
    where {{ is_touched('play_observations', ['event_id'], touched_by='touched_records') }}
),

looks as (
    select {{ look }}
    from observations
    where {{ has_copies() }}
    group by {{ look }}
    having count(*) > 1
),

alike as (
    select observations.*
    from observations
    inner join looks
        on
            observations.user_id = looks.user_id
            and observations.source_class = looks.source_class
            and observations.stated_at = looks.stated_at
            and observations.ms_played is not distinct from looks.ms_played
),

titled as (
    select
        *,
        -- One id has one title, whatever each row calls it.
        coalesce(
            case when track_id is not null then min(title_key) over (partition by {{ look }}, track_id) end, title_key, track_id, event_id
        ) as title
    from alike
),

compared as (
    select
        *,
        -- The artist of a song was renamed, or there are two songs: of rows that all have ids, a different artist makes a different song.
        case
            when
                ms_played > 0 and source_class in ('extended', 'short') and (
                    count(track_id) over (partition by {{ look }}, title) < count(*) over (partition by {{ look }}, title)
                )
                then ''
            else coalesce(artist_key, min(artist_key) over (partition by {{ look }}, title), '')
        end as artist,
        case
            when source_class = 'short'
                then cast(row_number() over (partition by {{ look }}, title, track_name, artist_name order by event_id) as varchar)
            else split_part(source_ref, '#', 2)
        end as twin
    from titled
),

merged as (
    select
        *,
        {{ first_known('event_id') }} as record_id,
        {{ first_known('track_id') }} as record_track_id,
        {{ first_known('title_key') }} as record_title_key,
        {{ first_known('artist_key') }} as record_artist_key,
        {{ first_known('isrc') }} as record_isrc,
        first_value(started_at) over ({{ best_time_first() }}) as record_started_at,
        first_value(ended_at) over ({{ best_time_first() }}) as record_ended_at
    from compared
),

records as (
    select
        event_id, record_id, user_id, source_class, priority, record_started_at as started_at, record_ended_at as ended_at, stated_at,
        ms_played, duration_ms, record_track_id as track_id, record_isrc as isrc, record_title_key as title_key,
        record_artist_key as artist_key
    from merged
    union all
    select
        observations.event_id, observations.event_id as record_id, observations.user_id, observations.source_class, observations.priority,
        observations.started_at, observations.ended_at, observations.stated_at, observations.ms_played, observations.duration_ms,
        observations.track_id, observations.isrc, observations.title_key, observations.artist_key
    from observations
    left join alike on observations.event_id = alike.event_id
    where alike.event_id is null
)

select
    *,
    {{ time_windows() }}
from records
