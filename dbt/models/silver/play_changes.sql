{{ config(materialized='table') }}

select
    event_id, user_id, played_at, played_date, content_type, track_id, track_name, artist_id, artist_name, song_key,
    device_type, source, is_listen
from {{ ref('silver_plays') }}
