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
        {{ source_class() }} as source_class,
        md5({{ name_key('artist_name', 'track_name') }}) as name_hash,
        -- The time heard, used only to compare times: ten days at most.
        least(greatest(coalesce(ms_played, duration_ms, 0), 0), 864000000) as length_ms
    from plays
    where {{ broken_reject_rule() }} is null and not {{ is_self_contained() }}
),

timed as (
    select
        *,
        {{ dbt.dateadd('millisecond', 'length_ms', 'played_at') }} as start_and_length,
        {{ read_timestamp("split_part(substr(source_ref, position(':' in source_ref) + 1), '#', 1)") }} as stamp
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
    {{ class_priority() }} as priority,
    name_hash,
    {{ match_name('track_name') }} as title_key,
    {{ match_name('artist_name') }} as artist_key,
    case
        when source_class = 'recent' then {{ dbt.dateadd('millisecond', '-length_ms', 'played_at') }}
        else played_at
    end as started_at,
    case
        when source_class in ('recent', 'short_second') then played_at
        when source_class = 'live' and extra like '%"ended_at"%'
            then greatest(start_and_length, coalesce({{ read_timestamp(json_text('extra', ['ended_at'])) }}, start_and_length))
        else start_and_length
    end as ended_at,
    -- What the source states, by which rows of its downloads are compared: the end in an export, else the time of the play.
    case when source_class in ('extended', 'short', 'short_second') then coalesce(stamp, start_and_length) else played_at end as stated_at,
    -- A play of other content can name a show too. Fields that the contract does not know are in extra.
    case
        when content_type = 'episode' then artist_name
        when extra like '%"episode_show_name"%' or extra like '%"podcastName"%' then {{ show_of_export_row('extra') }}
    end as named_show
from timed
