with listener_tracks as (
    select * from {{ ref('listener_tracks') }}
),

silver_tracks as (
    select
        track_id,
        artist_id,
        artist_name,
        {{ normalize_name('artist_name') }} as artist_key
    from {{ ref('silver_tracks') }}
    where content_type = 'track' and {{ normalize_name('artist_name') }} is not null
),

track_popularity as (
    select * from {{ ref('track_popularity') }}
),

artist_tracks as (
    select
        silver_tracks.*,
        track_popularity.track_name,
        track_popularity.play_count,
        track_popularity.started_count,
        track_popularity.skip_count,
        track_popularity.skip_known_count,
        track_popularity.heard_ms,
        track_popularity.last_played_at,
        dense_rank() over (order by silver_tracks.artist_key) as artist,
        row_number() over (
            partition by silver_tracks.artist_key order by track_popularity.play_count desc, silver_tracks.track_id asc
        ) as place
    from silver_tracks
    inner join track_popularity on silver_tracks.track_id = track_popularity.track_id
),

-- Joined by the number of the artist, because the text makes this largest step slow.
listener_artists as (
    select
        artist_tracks.artist,
        listener_tracks.user_id
    from listener_tracks
    inner join artist_tracks on listener_tracks.track_id = artist_tracks.track_id
    where listener_tracks.plays > 0
    group by artist_tracks.artist, listener_tracks.user_id
),

artist_listeners as (
    select
        artist,
        count(*) as unique_listeners
    from listener_artists
    group by artist
),

artists as (
    select
        artist,
        artist_key,
        min(artist_id) as artist_id,
        min(case when place = 1 then artist_name end) as artist_name,
        min(case when place = 1 then track_id end) as top_track_id,
        min(case when place = 1 then track_name end) as top_track_name,
        count(case when play_count > 0 then 1 end) as unique_tracks,
        cast(sum(play_count) as bigint) as play_count,
        cast(sum(started_count) as bigint) as started_count,
        cast(sum(skip_count) as bigint) as skip_count,
        cast(sum(skip_known_count) as bigint) as skip_known_count,
        cast(sum(heard_ms) as bigint) as heard_ms,
        max(last_played_at) as last_played_at
    from artist_tracks
    group by artist, artist_key
)

select
    artists.artist_key,
    artists.artist_name,
    artists.artist_id,
    artists.play_count,
    coalesce(artist_listeners.unique_listeners, 0) as unique_listeners,
    artists.unique_tracks,
    round(artists.heard_ms / 60000, 2) as minutes_listened,
    artists.started_count,
    artists.skip_count,
    artists.skip_known_count,
    artists.heard_ms,
    artists.top_track_id,
    artists.top_track_name,
    artists.last_played_at
from artists
left join artist_listeners on artists.artist = artist_listeners.artist
