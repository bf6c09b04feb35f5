{%- if is_incremental_build() %}

with open_plays as (
    select * from {{ ref('open_plays') }}
),

changed as (
    select event_id, user_id, artist_name, content_type, track_id, name_hash, source_class, ended_at
    from {{ ref('replaced_open_plays') }}
    union all
    select
        open_plays.event_id, open_plays.user_id, open_plays.artist_name, open_plays.content_type, open_plays.track_id,
        open_plays.name_hash, open_plays.source_class, open_plays.ended_at
    from open_plays
    inner join {{ ref('touched_events') }} as touched_events on open_plays.event_id = touched_events.event_id
),

changed_shows as (
    select distinct user_id, artist_name from changed where content_type = 'episode'
),

changed_ids as (
    select distinct name_hash from changed where track_id is not null
),

named_later as (
    select open_plays.*
    from open_plays
    inner join changed_shows on open_plays.user_id = changed_shows.user_id and open_plays.artist_name = changed_shows.artist_name
    where open_plays.content_type is null
),

known_later as (
    select open_plays.*
    from open_plays
    inner join changed_ids on open_plays.name_hash = changed_ids.name_hash
    where open_plays.track_id is null
),

reopened as (
    select event_id, user_id, source_class, ended_at from changed
    union
    select event_id, user_id, source_class, ended_at from named_later
    union
    select event_id, user_id, source_class, ended_at from known_later
)

{%- else %}

with reopened as (
    select event_id, user_id, source_class, ended_at from {{ ref('open_plays') }}
)

{%- endif %}

select * from reopened
