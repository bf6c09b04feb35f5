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

listener_artists as (
    select
        silver_tracks.artist_key,
        listener_tracks.user_id,
        sum(listener_tracks.plays) as plays,
        sum(listener_tracks.started) as started,
        sum(listener_tracks.skipped) as skipped,
        sum(listener_tracks.heard_ms) as heard_ms,
        max(listener_tracks.last_played_at) as last_played_at
    from listener_tracks
    inner join silver_tracks on listener_tracks.track_id = silver_tracks.track_id
    group by silver_tracks.artist_key, listener_tracks.user_id
),

artists as (
    select
        artist_key,
        cast(sum(plays) as bigint) as play_count,
        count(case when plays > 0 then 1 end) as unique_listeners,
        cast(sum(started) as bigint) as started_count,
        cast(sum(skipped) as bigint) as skip_count,
        cast(coalesce(sum(heard_ms), 0) as bigint) as heard_ms,
        max(last_played_at) as last_played_at
    from listener_artists
    group by artist_key
),

artist_tracks as (
    select
        silver_tracks.*,
        track_popularity.track_name,
        track_popularity.play_count,
        row_number() over (
            partition by silver_tracks.artist_key order by track_popularity.play_count desc, silver_tracks.track_id asc
        ) as place
    from silver_tracks
    inner join track_popularity on silver_tracks.track_id = track_popularity.track_id
),

best_known as (
    select
        artist_key,
        min(artist_id) as artist_id,
        min(case when place = 1 then artist_name end) as artist_name,
        min(case when place = 1 then track_id end) as top_track_id,
        min(case when place = 1 then track_name end) as top_track_name,
        count(case when play_count > 0 then 1 end) as unique_tracks
    from artist_tracks
    group by artist_key
)

select
    artists.artist_key,
    best_known.artist_name,
    best_known.artist_id,
    artists.play_count,
    artists.unique_listeners,
    best_known.unique_tracks,
    round(artists.heard_ms / 60000, 2) as minutes_listened,
    artists.started_count,
    artists.skip_count,
    artists.heard_ms,
    best_known.top_track_id,
    best_known.top_track_name,
    artists.last_played_at
from artists
inner join best_known on artists.artist_key = best_known.artist_key
