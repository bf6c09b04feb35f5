{{ config(schema='silver', tags=['recommendations']) }}

with songs as (
    select * from {{ ref('songs') }}
),

listener_songs as (
    select * from {{ ref('listener_songs') }}
),

listener_counts as (
    select count(distinct listener) as listeners from listener_songs where plays > 0
),

song_listeners as (
    select
        song,
        count(case when plays > 0 then 1 end) as listeners
    from listener_songs
    group by song
),

song_shares as (
    select
        songs.song,
        songs.artist_key,
        song_listeners.song is not null as is_started,
        coalesce(song_listeners.listeners, 0) as listeners,
        cast(
            round(1000000 * coalesce(song_listeners.listeners, 0) / (listener_counts.listeners + {{ var('shrinkage') }}), 0) as integer
        ) as share_millionths
    from songs
    cross join listener_counts
    left join song_listeners on songs.song = song_listeners.song
)

select
    song,
    artist_key,
    is_started,
    listeners,
    share_millionths,
    row_number() over (order by listeners desc, song asc) as place,
    row_number() over (partition by artist_key order by listeners desc, song asc) as artist_place
from song_shares
