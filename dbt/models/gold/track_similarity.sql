{{ config(tags=['recommendations']) }}

with songs as (
    select * from {{ ref('songs') }}
),

song_tracks as (
    select * from {{ ref('song_tracks') }}
),

song_neighbours as (
    select * from {{ ref('song_neighbours') }}
),

song_popularity as (
    select * from {{ ref('song_popularity') }}
),

neighbour_counts as (
    select
        song,
        count(*) as neighbours
    from song_neighbours
    group by song
),

short_songs as (
    select
        song_popularity.song,
        song_popularity.artist_key
    from song_popularity
    left join neighbour_counts on song_popularity.song = neighbour_counts.song
    where song_popularity.is_started and coalesce(neighbour_counts.neighbours, 0) < 10
),

candidates as (
    select
        song,
        neighbour,
        source,
        1 as tier,
        score_millionths,
        together
    from song_neighbours
    union all
    select
        short_songs.song,
        song_popularity.song as neighbour,
        'same_artist' as source,
        2 as tier,
        song_popularity.share_millionths as score_millionths,
        null as together
    from short_songs
    inner join song_popularity on short_songs.artist_key = song_popularity.artist_key and short_songs.song <> song_popularity.song
    where song_popularity.artist_place <= 20
    union all
    select
        short_songs.song,
        song_popularity.song as neighbour,
        'popularity' as source,
        3 as tier,
        song_popularity.share_millionths as score_millionths,
        null as together
    from short_songs
    inner join song_popularity on short_songs.song <> song_popularity.song
    where song_popularity.place <= 20
),

best_candidates as (
    select
        *,
        row_number() over (partition by song, neighbour order by tier) as choice
    from candidates
),

candidates_in_order as (
    select
        *,
        row_number() over (partition by song order by tier asc, score_millionths desc, neighbour asc) as place
    from best_candidates
    where choice = 1
),

neighbours as (
    select
        *,
        min(score_millionths) over (partition by song order by place rows between unbounded preceding and current row) as score
    from candidates_in_order
    where place <= 10
)

select
    song_tracks.track_id,
    similar_songs.track_id as similar_track_id,
    neighbours.score / 1000000 as score,
    cast(neighbours.place as integer) as rank,
    case when neighbours.source = 'co_listening' then neighbours.together end as co_listeners,
    case when neighbours.source = 'sessions' then neighbours.together end as co_sessions,
    neighbours.source,
    case neighbours.source
        when 'co_listening' then 'heard by the same listeners: ' || neighbours.together
        when 'sessions' then 'heard in the same sessions: ' || neighbours.together
        when 'same_artist' then 'also by ' || similar_songs.artist_name
        else 'heard by many listeners'
    end as reason,
    similar_songs.track_name as similar_track_name,
    similar_songs.artist_name as similar_artist_name,
    similar_songs.is_synthetic
from neighbours
inner join song_tracks on neighbours.song = song_tracks.song
inner join songs as similar_songs on neighbours.neighbour = similar_songs.song
