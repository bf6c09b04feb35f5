{{ config(schema='silver', tags=['recommendations']) }}

with listener_songs as (
    select *
    from {{ ref('listener_songs') }}
    where plays > 0
),

song_tracks as (
    select * from {{ ref('song_tracks') }}
),

silver_plays as (
    select *
    from {{ ref('silver_plays') }}
    where is_listen and {{ may_feed_models('matched_sources') }}
),

listening_sessions as (
    select * from {{ ref('listening_sessions') }}
),

listener_counts as (
    select count(distinct listener) as listeners from listener_songs
),

listener_baskets as (
    select
        'co_listening' as source,
        listener_songs.listener as basket,
        listener_songs.song,
        listener_songs.plays
    from listener_songs
    cross join listener_counts
    where listener_counts.listeners >= {{ var('few_listeners') }}
),

few_listeners_plays as (
    select
        silver_plays.user_id,
        silver_plays.played_at,
        silver_plays.played_date,
        song_tracks.song
    from silver_plays
    inner join song_tracks on silver_plays.track_id = song_tracks.track_id
    cross join listener_counts
    where listener_counts.listeners < {{ var('few_listeners') }}
),

numbered_sessions as (
    select
        user_id,
        started_at,
        ended_at,
        date,
        cast(row_number() over (order by user_id, started_at) as integer) as basket
    from listening_sessions
),

session_days as (
    select * from numbered_sessions
    union all
    select
        user_id,
        started_at,
        ended_at,
        cast(ended_at as date) as date,
        basket
    from numbered_sessions
    where cast(ended_at as date) > date
),

session_baskets as (
    select
        'sessions' as source,
        session_days.basket,
        few_listeners_plays.song,
        count(*) as plays
    from few_listeners_plays
    inner join session_days
        on
            few_listeners_plays.user_id = session_days.user_id
            and few_listeners_plays.played_date = session_days.date
            and few_listeners_plays.played_at between session_days.started_at and session_days.ended_at
    group by session_days.basket, few_listeners_plays.song
),

all_baskets as (
    select * from listener_baskets
    union all
    select * from session_baskets
),

songs_in_order as (
    select
        source,
        basket,
        song,
        row_number() over (partition by basket order by plays desc, song asc) as place
    from all_baskets
)

select
    source,
    basket,
    song
from songs_in_order
where place <= {{ var('basket_songs') }}
