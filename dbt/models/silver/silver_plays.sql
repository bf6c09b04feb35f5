{{ config(materialized='incremental', incremental_strategy='replace_touched', touched_by='touched_plays', touched_key=['event_id']) }}

-- depends_on: {{ ref('touched_plays') }}
{% set columns = event_columns() + ['_ingested_at'] %}
{% set merged_columns = best_value_columns() + best_time_columns() %}

with arrived as (
    {{ new_events('play', 'plays') }}
),

self_contained as (
    select
        {{ columns | join(', ') }},
        source as matched_sources, content_type as reported_content_type,
        cast(null as varchar) as known_content_type, cast(null as varchar) as known_track_id
    from arrived
    where {{ is_self_contained() }} and {{ broken_reject_rule() }} is null
),

observed as (
    select observations.*, matched_plays.play_id, matched_plays.rank_in_play, matched_plays.is_part
    from {{ ref('play_observations') }} as observations
    inner join {{ ref('matched_plays') }} as matched_plays on observations.event_id = matched_plays.event_id
),

matched as (
    select distinct play_id from observed where event_id <> play_id
),

observed_once as (
    select observed.*
    from observed
    left join matched on observed.play_id = matched.play_id
    where matched.play_id is null
),

observed_often as (
    select observed.*
    from observed
    inner join matched on observed.play_id = matched.play_id
),

sources_of_plays as (
    select play_id, {{ dbt.listagg('source', "','", 'order by source') }} as matched_sources
    from (select distinct play_id, source from observed_often) as sources
    group by play_id
),

merged as (
    select
        *,
        {%- for column in best_value_columns() + ['name_hash'] %}
        {{ best_value(column) }} as best_{{ column }},
        {%- endfor %}
        {%- for column in best_time_columns() %}
        first_value({{ column }}) over (
            partition by play_id order by {{ basis_rank() }}, rank_in_play {{ whole_partition() }}
        ) as best_{{ column }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from observed_often
),

kept as (
    select {{ columns | join(', ') }}, name_hash, stated_content_type, source as matched_sources
    from observed_once
    union all
    select
        {%- for column in columns %}
        {% if column in merged_columns %}best_{% else %}merged.{% endif %}{{ column }},
        {%- endfor %}
        merged.best_name_hash, merged.stated_content_type, sources_of_plays.matched_sources
    from merged
    inner join sources_of_plays on merged.play_id = sources_of_plays.play_id
    where merged.event_id = merged.play_id
),

shows as (
    select user_id, named_show as artist_name from {{ ref('play_observations') }} where named_show is not null
    union
    select user_id, artist_name from {{ ref('shows_in_rejected_rows') }}
),

known_ids as (
    select
        name_hash,
        -- Spotify's own ids before others, then the first in order.
        substr(min(case when source like 'spotify%' then '1' else '2' end || track_id), 2) as track_id
    from {{ ref('play_observations') }}
    where track_id is not null and name_hash is not null and coalesce(source, '') <> 'generator'
    group by name_hash
),

completed as (
    select
        -- The rules check what the kept observation said itself.
        {{ prefix_all('kept', columns) | replace('kept.content_type', 'kept.stated_content_type as content_type') }},
        kept.matched_sources, kept.content_type as reported_content_type,
        case when shows.artist_name is not null then 'episode' end as known_content_type,
        known_ids.track_id as known_track_id
    from kept
    left join shows on kept.content_type is null and kept.user_id = shows.user_id and kept.artist_name = shows.artist_name
    left join known_ids on kept.track_id is null and kept.name_hash = known_ids.name_hash
),

plays as (
    select * from self_contained
    union all
    select * from completed
),

resolved as (
    select
        *,
        coalesce(reported_content_type, known_content_type, 'track') as resolved_content_type,
        coalesce(track_id, known_track_id, {{ id_of_names('artist_name', 'track_name') }}) as resolved_track_id
    from plays
)

select
    {%- for column in play_columns() %}
    {% if column in ['content_type', 'track_id'] -%}
    resolved_{{ column }} as {{ column }}
    {%- elif column in contract_normal_forms() -%}
    {{ normal_form(column) }} as {{ column }}
    {%- else -%}
    {{ column }}
    {%- endif %},
    {%- endfor %}
    case when coalesce(ms_played, duration_ms) > {{ day_ms() }} then {{ day_ms() }} else coalesce(ms_played, duration_ms) end as heard_ms,
    md5(coalesce({{ name_key('artist_name', 'track_name') }}, resolved_track_id)) as song_key,
    {{ is_listen('resolved_content_type') }} as is_listen,
    {{ broken_flag_rules('play') }} as quality_flags,
    matched_sources,
    {{ utc_date('played_at') }} as played_date,
    _ingested_at as processed_at
from resolved
