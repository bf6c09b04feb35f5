{{ config(materialized='incremental', incremental_strategy='replace_touched', touched_by='touched_plays', touched_key=['event_id']) }}

-- depends_on: {{ ref('touched_plays') }}
{% set columns = event_columns() + ['_ingested_at'] %}

with arrived as (
    {{ new_events('play', 'plays') }}
),

closed as (
    select
        {{ columns | join(', ') }},
        source as matched_sources, content_type as told_content_type, cast(null as varchar) as known_content_type, cast(null as varchar) as known_track_id
    from arrived
    where {{ is_closed() }} and {{ broken_reject_rule() }} is null
),

observed as (
    select open_plays.*, decided_plays.play_id
    from {{ ref('open_plays') }} as open_plays
    inner join {{ ref('decided_plays') }} as decided_plays on open_plays.event_id = decided_plays.event_id
),

matched as (
    select distinct play_id from observed where event_id <> play_id
),

alone as (
    select observed.*
    from observed
    left join matched on observed.play_id = matched.play_id
    where matched.play_id is null
),

together as (
    select observed.*
    from observed
    inner join matched on observed.play_id = matched.play_id
),

sources_together as (
    select play_id, {{ dbt.listagg('source', "','", 'order by source') }} as matched_sources
    from (select distinct play_id, source from together) as sources
    group by play_id
),

merged as (
    select
        *,
        {%- for column in told_columns() + ['name_hash'] %}
        {{ best_told(column) }} as best_{{ column }},
        {%- endfor %}
        first_value(played_at) over (partition by play_id order by {{ basis_rank() }}, priority {{ whole_partition() }}) as best_played_at,
        first_value(played_at_basis) over (
            partition by play_id order by {{ basis_rank() }}, priority {{ whole_partition() }}
        ) as best_played_at_basis
    from together
),

kept as (
    select {{ columns | join(', ') }}, name_hash, stated_content_type, source as matched_sources
    from alone
    union all
    select
        {%- for column in columns %}
        {% if column in told_columns() + ['played_at', 'played_at_basis'] %}best_{% else %}merged.{% endif %}{{ column }},
        {%- endfor %}
        merged.best_name_hash, merged.stated_content_type, sources_together.matched_sources
    from merged
    inner join sources_together on merged.play_id = sources_together.play_id
    where merged.event_id = merged.play_id
),

shows as (
    select user_id, named_show as artist_name from {{ ref('open_plays') }} where named_show is not null
    union
    select user_id, artist_name from {{ ref('refused_shows') }}
),

known_ids as (
    select
        name_hash,
        -- Spotify's own ids before others, then the first in order.
        substr(min(case when source like 'spotify%' then '1' else '2' end || track_id), 2) as track_id
    from {{ ref('open_plays') }}
    where track_id is not null and name_hash is not null and coalesce(source, '') <> 'generator'
    group by name_hash
),

opened as (
    select
        -- The rules judge what the kept observation said itself.
        {{ prefix_all('kept', columns) | replace('kept.content_type', 'kept.stated_content_type as content_type') }},
        kept.matched_sources, kept.content_type as told_content_type,
        case when shows.artist_name is not null then 'episode' end as known_content_type,
        known_ids.track_id as known_track_id
    from kept
    left join shows on kept.content_type is null and kept.user_id = shows.user_id and kept.artist_name = shows.artist_name
    left join known_ids on kept.track_id is null and kept.name_hash = known_ids.name_hash
),

plays as (
    select * from closed
    union all
    select * from opened
),

resolved as (
    select
        *,
        coalesce(told_content_type, known_content_type, 'track') as resolved_content_type,
        coalesce(track_id, known_track_id, {{ id_of_names('artist_name', 'track_name') }}) as resolved_track_id
    from plays
)

select
    event_id, user_id, played_at, played_at_basis, session_id,
    resolved_content_type as content_type,
    resolved_track_id as track_id,
    {{ normal_columns(['track_name', 'artist_id', 'artist_name', 'album_id', 'album_name', 'duration_ms', 'ms_played']) }},
    case when coalesce(ms_played, duration_ms) > {{ day_ms() }} then {{ day_ms() }} else coalesce(ms_played, duration_ms) end as heard_ms,
    md5(coalesce({{ name_key('artist_name', 'track_name') }}, resolved_track_id)) as song_key,
    {{ is_listen('resolved_content_type') }} as is_listen,
    reason_start, reason_end, is_skipped, is_shuffle, is_offline, is_private, context_uri,
    {{ normal_columns(['device_type', 'platform', 'country']) }},
    source, source_ref, produced_at,
    {{ broken_flag_rules('play') }} as quality_flags,
    matched_sources,
    {{ utc_date('played_at') }} as played_date,
    _ingested_at as processed_at
from resolved
