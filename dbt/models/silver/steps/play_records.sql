{{ config(
    materialized='incremental', incremental_strategy='replace_touched', touched_by='touched_records', touched_key=['event_id']
) }}

{#
  Rows of several downloads that are one row of their service: they state the same moment, the same length and the same song. Twins, which look
  alike in one download, have numbers: the first of one download is the first of the other. See docs/decisions/0019.
#}
-- depends_on: {{ ref('replaced_records') }}
{% set look = 'user_id, source_class, stated_at, ms_played' %}

with recursive observations as (
    select
        event_id, user_id, source_class, priority, played_at_basis, started_at, ended_at, stated_at, ms_played, duration_ms, track_id,
        artist_name, track_name, source_ref, reason_start, reason_end, title_key, artist_key,
        {{ isrc() }} as isrc
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
        -- An artist is renamed, and the song can get another id. No two songs of one title and length, to the millisecond, end in the same
        -- second; rows of one file that look so are twins.
        case
            when ms_played > 0 and source_class in ('extended', 'short') then ''
            else coalesce(artist_key, min(artist_key) over (partition by {{ look }}, title), '')
        end as artist,
        case
            when source_class in ('short', 'short_second')
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

rows_of_one_form as (
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
),

-- The short form has an extended row's length to the millisecond, and the minute in which the player was left: between the end by the
-- device's start and `ts`, which is hours late after a logout or offline.
forms_fits as (
    select
        short.event_id as sought_id, extended.event_id as hub_id, short.stated_at as sought_at, extended.ended_at as hub_at,
        case
            when
                extended.ended_at >= {{ dbt.dateadd('second', -1, 'short.stated_at') }}
                and extended.ended_at <= {{ dbt.dateadd('second', 62, 'short.stated_at') }}
                then 2
            when extended.stated_at <= {{ dbt.dateadd('second', 180, 'short.stated_at') }} then 1
            else 0
        end as exactness,
        short.user_id, short.title_key, short.ms_played
    from rows_of_one_form as short
    inner join rows_of_one_form as extended
        on
            short.user_id = extended.user_id
            and short.ms_played = extended.ms_played
            and short.title_key = extended.title_key
            and extended.stated_at >= {{ dbt.dateadd('second', -61, 'short.stated_at') }}
            and (
                extended.stated_at <= {{ dbt.dateadd('second', 180, 'short.stated_at') }}
                or extended.ended_at <= {{ dbt.dateadd('second', 60, 'short.stated_at') }}
            )
    where
        short.source_class = 'short' and short.event_id = short.record_id
        and extended.source_class = 'extended' and extended.event_id = extended.record_id
        and {{ names_agree('short', 'extended') }}
),

{{ choose_one_to_one('forms', ['user_id', 'title_key', 'ms_played']) }},

records as (
    select
        rows_of_one_form.event_id, coalesce(extended.event_id, rows_of_one_form.record_id) as record_id,
        {%- for column in ['user_id', 'source_class', 'priority', 'ms_played', 'stated_at'] %}
        rows_of_one_form.{{ column }},
        {%- endfor %}
        {%- for column in ['started_at', 'ended_at', 'duration_ms', 'track_id', 'isrc', 'title_key', 'artist_key'] %}
        case when extended.event_id is null then rows_of_one_form.{{ column }} else extended.{{ column }} end as {{ column }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from rows_of_one_form
    left join forms_matches on rows_of_one_form.record_id = forms_matches.sought_id
    left join rows_of_one_form as extended on forms_matches.hub_id = extended.event_id
)

select
    *,
    {{ time_windows() }}
from records
