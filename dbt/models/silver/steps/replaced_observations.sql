{{ config(materialized='incremental', incremental_strategy='append') }}

{%- if is_incremental_build() %}

select
    play_observations.event_id, play_observations.user_id, play_observations.artist_name, play_observations.content_type,
    play_observations.track_id, play_observations.name_hash, play_observations.source_class, play_observations.stated_at,
    play_observations.ms_played, play_observations.named_show
from {{ previous_build('play_observations') }} as play_observations
inner join {{ ref('touched_events') }} as touched_events on play_observations.event_id = touched_events.event_id

{%- else %}

select
    cast(null as varchar) as event_id, cast(null as varchar) as user_id, cast(null as varchar) as artist_name,
    cast(null as varchar) as content_type, cast(null as varchar) as track_id, cast(null as varchar) as name_hash,
    cast(null as varchar) as source_class, cast(null as timestamptz) as stated_at, cast(null as bigint) as ms_played, cast(null as varchar) as named_show
where false

{%- endif %}
