{{ config(materialized='incremental', incremental_strategy='append') }}

{%- if is_incremental_build() %}

-- Of the touched plays those that can stand in silver already: an event that came again is contested.
with standing as (
    select event_id from {{ ref('contested_events') }}
    union
    select event_id from {{ ref('decided_plays') }}
)

select {{ prefix_all('plays', play_change_columns()) }}
from {{ as_built('silver_plays') }} as plays
inner join standing on plays.event_id = standing.event_id

{%- else %}

select
    cast(null as varchar) as event_id, cast(null as varchar) as user_id, cast(null as timestamptz) as played_at,
    cast(null as date) as played_date, cast(null as varchar) as content_type, cast(null as varchar) as track_id,
    cast(null as varchar) as track_name, cast(null as varchar) as artist_id, cast(null as varchar) as artist_name,
    cast(null as varchar) as song_key, cast(null as varchar) as device_type, cast(null as varchar) as source,
    cast(null as boolean) as is_listen
where false

{%- endif %}
