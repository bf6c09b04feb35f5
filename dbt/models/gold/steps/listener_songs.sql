{{ config(schema='silver', tags=['recommendations']) }}

with listener_tracks as (
    select * from {{ ref('listener_tracks') }}
),

song_tracks as (
    select * from {{ ref('song_tracks') }}
),

listeners as (
    select
        user_id,
        cast(row_number() over (order by user_id) as integer) as listener
    from listener_tracks
    group by user_id
)

select
    listeners.listener,
    min(listener_tracks.user_id) as user_id,
    song_tracks.song,
    cast(sum(listener_tracks.model_plays) as integer) as plays,
    cast(sum(listener_tracks.plays) as integer) as heard,
    cast(sum(listener_tracks.started) as integer) as started,
    cast(sum(listener_tracks.skipped) as integer) as skipped
from listener_tracks
inner join listeners on listener_tracks.user_id = listeners.user_id
inner join song_tracks on listener_tracks.track_id = song_tracks.track_id
group by listeners.listener, song_tracks.song
