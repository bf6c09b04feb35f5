{{ config(
    materialized='incremental', incremental_strategy='replace_touched', touched_by='deduplicated_events', touched_key=['event_id']
) }}

-- depends_on: {{ ref('replaced_observations') }}

with plays as (
    {{ new_events('play', 'plays') }}
),

classified as (
    select
        *,
        case
            when source = 'spotify_export' and source_ref like 'extended:%' then 'extended'
            when source = 'spotify_live' then 'live'
            when source = 'spotify_recent' then 'recent'
            when source = 'spotify_export' and source_ref like 'short:%' then 'short'
            when source in ('listenbrainz', 'lastfm') then source
        end as source_class,
        md5({{ name_key('artist_name', 'track_name') }}) as name_hash,
        -- The time heard, used only to compare times: ten days at most.
        least(greatest(coalesce(ms_played, duration_ms, 0), 0), 864000000) as length_ms
    from plays
    where {{ broken_reject_rule() }} is null and not {{ is_self_contained() }}
),

timed as (
    select
        *,
        case when source_class = 'recent' then {{ dbt.dateadd('millisecond', '-length_ms', 'played_at') }} else played_at end as started_at,
        case when source_class = 'recent' then played_at else {{ dbt.dateadd('millisecond', 'length_ms', 'played_at') }} end as ended_at
    from classified
)

select
    {%- for column in event_columns() %}
    {% if column == 'content_type' -%}
    case when {{ has_known_content_type() }} then content_type end as content_type
    {%- elif column == 'track_id' -%}
    nullif(track_id, '') as track_id
    {%- else -%}
    {{ column }}
    {%- endif %},
    {%- endfor %}
    _ingested_at,
    content_type as stated_content_type,
    source_class,
    case source_class
        when 'extended' then 1 when 'live' then 2 when 'recent' then 3 when 'short' then 4 when 'listenbrainz' then 5 when 'lastfm' then 6
    end as priority,
    name_hash, started_at, ended_at,
    -- A play of other content can name a show too. Fields that the contract does not know are in extra.
    case
        when content_type = 'episode' then artist_name
        when extra like '%"episode_show_name"%' or extra like '%"podcastName"%' then {{ show_of_export_row('extra') }}
    end as named_show
from timed
