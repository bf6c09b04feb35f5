{{ config(materialized='incremental', incremental_strategy='replace_touched', touched_key=['track_id']) }}

{#
  Only minima, maxima and conjunctions, so that the stored values of a track and its new plays can be merged in any order and repeatedly.
  A track that lost a play is computed from all its plays.
#}
{% set least = ['track_name', 'artist_id', 'artist_name', 'album_id', 'album_name', 'duration_ms', 'song_key', 'first_seen_at'] %}

with plays as (
    select
        event_id, track_id, content_type, track_name, artist_id, artist_name, album_id, album_name, duration_ms, song_key, played_at as first_seen_at,
        coalesce(source = 'generator', false) as is_synthetic, processed_at
    from {{ ref('silver_plays') }}
),

facts as (
    {%- if is_incremental_build() %}
    select plays.*
    from plays
    inner join (select distinct track_id from {{ ref('replaced_plays') }}) as replaced on plays.track_id = replaced.track_id
    union all
    select plays.*
    from plays
    inner join {{ ref('touched_plays') }} as touched_plays on plays.event_id = touched_plays.event_id
    where
        plays.processed_at >= {{ first_ingested_at() }}
        and plays.track_id not in (select track_id from {{ ref('replaced_plays') }})
    union all
    select
        cast(null as varchar) as event_id, track_id, content_type, track_name, artist_id, artist_name, album_id, album_name, duration_ms, song_key,
        first_seen_at, is_synthetic, cast(null as timestamptz) as processed_at
    from {{ this }} as stored
    where
        {{ is_touched('stored', ['track_id']) }}
        and stored.track_id not in (select track_id from {{ ref('replaced_plays') }})
    {%- else %}
    select * from plays
    {%- endif %}
)

select
    track_id,
    max(content_type) as content_type,  -- a track if any play of it is one
    {%- for column in least %}
    min({{ column }}) as {{ column }},
    {%- endfor %}
    min(case when is_synthetic then 1 else 0 end) = 1 as is_synthetic
from facts
group by track_id
