with listener_tracks as (
    select * from {{ ref('listener_tracks') }}
),

silver_tracks as (
    select *
    from {{ ref('silver_tracks') }}
    where content_type = 'track'
),

tallies as (
    select
        track_id,
        cast(sum(plays) as bigint) as play_count,
        count(case when plays > 0 then 1 end) as unique_listeners,
        cast(sum(started) as bigint) as started_count,
        cast(sum(skipped) as bigint) as skip_count,
        cast(sum(skip_known) as bigint) as skip_known_count,
        cast(coalesce(sum(heard_ms), 0) as bigint) as heard_ms,
        min(first_played_at) as first_played_at,
        max(last_played_at) as last_played_at
    from listener_tracks
    group by track_id
)

select
    tallies.track_id,
    silver_tracks.track_name,
    silver_tracks.artist_name,
    tallies.play_count,
    tallies.unique_listeners,
    cast(round(tallies.heard_ms / nullif(tallies.play_count, 0), 0) as bigint) as avg_listen_duration,
    tallies.started_count,
    tallies.skip_count,
    tallies.skip_known_count,
    tallies.heard_ms,
    silver_tracks.album_name,
    silver_tracks.duration_ms,
    silver_tracks.song_key,
    silver_tracks.is_synthetic,
    tallies.first_played_at,
    tallies.last_played_at
from tallies
inner join silver_tracks on tallies.track_id = silver_tracks.track_id
