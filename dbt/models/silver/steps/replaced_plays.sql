{{ config(materialized='incremental', incremental_strategy='append') }}

{%- if is_incremental_build() %}

-- The touched plays that silver can already have: event_ids that arrived before, and observations that are matched again.
with stored as (
    select event_id from {{ ref('duplicated_event_ids') }}
    union
    select event_id from {{ ref('matched_plays') }}
)

select {{ prefix_all('plays', play_change_columns()) }}
from {{ previous_build('silver_plays') }} as plays
inner join stored on plays.event_id = stored.event_id

{%- else %}

select
    cast(null as varchar) as event_id, cast(null as varchar) as user_id, cast(null as timestamptz) as played_at,
    cast(null as date) as played_date, cast(null as varchar) as content_type, cast(null as varchar) as track_id,
    cast(null as varchar) as track_name, cast(null as varchar) as artist_id, cast(null as varchar) as artist_name,
    cast(null as varchar) as song_key, cast(null as varchar) as device_type, cast(null as varchar) as source,
    cast(null as boolean) as is_listen
where false

{%- endif %}
