{{ config(materialized='incremental', incremental_strategy='append') }}

{%- if is_incremental_build() %}

select {{ prefix_all('plays', play_change_columns()) }}
from {{ as_built('silver_plays') }} as plays
inner join {{ ref('touched_plays') }} as touched_plays on plays.event_id = touched_plays.event_id

{%- else %}

select
    cast(null as varchar) as event_id, cast(null as varchar) as user_id, cast(null as timestamptz) as played_at,
    cast(null as date) as played_date, cast(null as varchar) as content_type, cast(null as varchar) as track_id,
    cast(null as varchar) as track_name, cast(null as varchar) as artist_id, cast(null as varchar) as artist_name,
    cast(null as varchar) as song_key, cast(null as varchar) as device_type, cast(null as varchar) as source,
    cast(null as boolean) as is_listen
where false

{%- endif %}
