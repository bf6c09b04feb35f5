{{ config(tags=['recommendations']) }}

with songs as (
    select * from {{ ref('songs') }}
),

listener_songs as (
    select * from {{ ref('listener_songs') }}
),

song_neighbours as (
    select * from {{ ref('song_neighbours') }}
),

song_popularity as (
    select * from {{ ref('song_popularity') }}
),

listeners as (
    select
        listener,
        min(user_id) as user_id,
        count(*) as songs_known
    from listener_songs
    group by listener
),

contributions as (
    select
        listener_songs.listener,
        song_neighbours.neighbour as song,
        listener_songs.song as because_song,
        song_neighbours.source,
        cast(round(ln(1 + listener_songs.plays) * song_neighbours.score_millionths, 0) as bigint) as points
    from listener_songs
    inner join song_neighbours on listener_songs.song = song_neighbours.song
    where listener_songs.plays > 0
),

similar_songs as (
    select
        listener,
        song,
        min(source) as source,
        sum(points) as points,
        max_by(because_song, points * 4294967296 - because_song) as because_song
    from contributions
    group by listener, song
),

known_songs as (
    select
        listener,
        song
    from listener_songs
    where plays > 0 or skipped >= 2 or heard > 0
),

similar_in_order as (
    select
        similar_songs.*,
        row_number() over (partition by similar_songs.listener order by similar_songs.points desc, similar_songs.song asc) as place
    from similar_songs
    left join known_songs on similar_songs.listener = known_songs.listener and similar_songs.song = known_songs.song
    where known_songs.song is null
),

similar_choices as (
    select * from similar_in_order where place <= 10
),

choice_counts as (
    select
        listener,
        count(*) as choices
    from similar_choices
    group by listener
),

short_listeners as (
    select
        listeners.listener,
        listeners.songs_known
    from listeners
    left join choice_counts on listeners.listener = choice_counts.listener
    where coalesce(choice_counts.choices, 0) < 10
),

artist_affinity as (
    select
        listener_songs.listener,
        songs.artist_key,
        sum(cast(round(ln(1 + listener_songs.plays) * 1000000, 0) as bigint)) as points
    from short_listeners
    inner join listener_songs on short_listeners.listener = listener_songs.listener
    inner join songs on listener_songs.song = songs.song
    where listener_songs.plays > 0
    group by listener_songs.listener, songs.artist_key
),

unheard_by_artist as (
    select
        artist_affinity.listener,
        song_popularity.song,
        'same_artist' as source,
        2 as tier,
        artist_affinity.points,
        song_popularity.share_millionths
    from artist_affinity
    inner join song_popularity on artist_affinity.artist_key = song_popularity.artist_key
),

unheard_popular as (
    select
        short_listeners.listener,
        song_popularity.song,
        'popularity' as source,
        3 as tier,
        0 as points,
        song_popularity.share_millionths
    from short_listeners
    inner join song_popularity on song_popularity.place <= short_listeners.songs_known + 20
),

unheard as (
    select * from unheard_by_artist
    union all
    select * from unheard_popular
),

unheard_choices as (
    select unheard.*
    from unheard
    left join listener_songs on unheard.listener = listener_songs.listener and unheard.song = listener_songs.song
    where listener_songs.song is null
),

started_choices as (
    select
        listener_songs.listener,
        listener_songs.song,
        'started' as source,
        4 as tier,
        coalesce(artist_affinity.points, 0) as points,
        song_popularity.share_millionths
    from short_listeners
    inner join listener_songs on short_listeners.listener = listener_songs.listener
    inner join song_popularity on listener_songs.song = song_popularity.song
    left join artist_affinity
        on listener_songs.listener = artist_affinity.listener and song_popularity.artist_key = artist_affinity.artist_key
    where listener_songs.plays = 0 and listener_songs.skipped < 2 and coalesce(listener_songs.heard, 0) = 0
),

choices as (
    select
        listener,
        song,
        source,
        1 as tier,
        points,
        0 as share_millionths,
        because_song
    from similar_choices
    union all
    select
        *,
        null as because_song
    from unheard_choices
    union all
    select
        *,
        null as because_song
    from started_choices
),

best_choices as (
    select
        *,
        row_number() over (partition by listener, song order by tier) as choice
    from choices
),

choices_in_order as (
    select
        *,
        row_number() over (partition by listener order by tier asc, points desc, share_millionths desc, song asc) as place
    from best_choices
    where choice = 1
),

scored_choices as (
    select
        *,
        min(case when tier = 1 then points else share_millionths end) over (
            partition by listener order by place rows between unbounded preceding and current row
        ) as score_millionths
    from choices_in_order
    where place <= 10
)

select
    listeners.user_id,
    songs.track_id,
    round(scored_choices.score_millionths / 1000000, 6) as recommendation_score,
    cast(scored_choices.place as integer) as rank,
    scored_choices.source,
    case scored_choices.source
        when 'same_artist' then 'because you listen to ' || songs.artist_name
        when 'popularity' then 'heard by many listeners'
        when 'started' then
            'you started it and never heard it through'
            || case when scored_choices.points > 0 then '; you listen to ' || songs.artist_name else '' end
        else 'because you played ' || coalesce(because_songs.track_name, because_songs.track_id)
    end as reason,
    because_songs.track_id as because_track_id,
    songs.track_name,
    songs.artist_name,
    songs.is_synthetic
from scored_choices
inner join listeners on scored_choices.listener = listeners.listener
inner join songs on scored_choices.song = songs.song
left join songs as because_songs on scored_choices.because_song = because_songs.song
