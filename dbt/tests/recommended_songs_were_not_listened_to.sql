-- No recommended song was listened to, under any of its ids.
with user_recommendations as (
    select * from {{ ref('user_recommendations') }}
),

silver_tracks as (
    select * from {{ ref('silver_tracks') }}
),

listener_tracks as (
    select *
    from {{ ref('listener_tracks') }}
    where plays > 0
),

recommended_songs as (
    select
        user_recommendations.user_id,
        silver_tracks.song_key
    from user_recommendations
    inner join silver_tracks on user_recommendations.track_id = silver_tracks.track_id
),

heard_songs as (
    select
        listener_tracks.user_id,
        silver_tracks.song_key
    from listener_tracks
    inner join silver_tracks on listener_tracks.track_id = silver_tracks.track_id
)

select recommended_songs.*
from recommended_songs
inner join heard_songs on recommended_songs.user_id = heard_songs.user_id and recommended_songs.song_key = heard_songs.song_key
