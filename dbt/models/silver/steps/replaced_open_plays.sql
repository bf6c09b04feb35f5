{{ config(materialized='incremental', incremental_strategy='append') }}

{%- if is_incremental_build() %}

select
    open_plays.event_id, open_plays.user_id, open_plays.artist_name, open_plays.content_type, open_plays.track_id, open_plays.name_hash,
    open_plays.source_class, open_plays.ended_at, open_plays.named_show
from {{ as_built('open_plays') }} as open_plays
inner join {{ ref('touched_events') }} as touched_events on open_plays.event_id = touched_events.event_id

{%- else %}

select
    cast(null as varchar) as event_id, cast(null as varchar) as user_id, cast(null as varchar) as artist_name,
    cast(null as varchar) as content_type, cast(null as varchar) as track_id, cast(null as varchar) as name_hash,
    cast(null as varchar) as source_class, cast(null as timestamptz) as ended_at,
    cast(null as varchar) as named_show
where false

{%- endif %}
