{{ config(schema='silver', tags=['recommendations']) }}

with silver_tracks as (
    select *
    from {{ ref('silver_tracks') }}
    where content_type = 'track'
),

songs as (
    select * from {{ ref('songs') }}
)

select
    silver_tracks.track_id,
    songs.song
from silver_tracks
inner join songs on silver_tracks.song_key = songs.song_key
