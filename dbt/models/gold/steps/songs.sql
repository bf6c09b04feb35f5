{{ config(schema='silver', tags=['recommendations']) }}

with silver_tracks as (
    select *
    from {{ ref('silver_tracks') }}
    where content_type = 'track'
),

track_popularity as (
    select * from {{ ref('track_popularity') }}
),

tracks as (
    select
        silver_tracks.song_key,
        silver_tracks.track_id,
        silver_tracks.track_name,
        silver_tracks.artist_name,
        {{ normalize_name('silver_tracks.artist_name') }} as artist_key,
        silver_tracks.is_synthetic,
        track_popularity.track_id is not null as is_started,
        row_number() over (
            partition by silver_tracks.song_key
            order by
                silver_tracks.is_synthetic asc,
                coalesce(track_popularity.unique_listeners, 0) desc,
                silver_tracks.track_id asc
        ) as place
    from silver_tracks
    left join track_popularity on silver_tracks.track_id = track_popularity.track_id
)

select
    song_key,
    cast(row_number() over (order by track_id) as integer) as song,
    track_id,
    track_name,
    artist_name,
    artist_key,
    is_synthetic
from tracks
where place = 1
