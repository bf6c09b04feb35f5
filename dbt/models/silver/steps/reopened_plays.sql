{%- if is_incremental_build() %}

with open_plays as (
    select * from {{ ref('open_plays') }}
),

changed as (
    select event_id, user_id, artist_name, content_type, track_id, name_hash, source_class, ended_at, named_show
    from {{ ref('replaced_open_plays') }}
    union all
    select
        open_plays.event_id, open_plays.user_id, open_plays.artist_name, open_plays.content_type, open_plays.track_id,
        open_plays.name_hash, open_plays.source_class, open_plays.ended_at, open_plays.named_show
    from open_plays
    inner join {{ ref('touched_events') }} as touched_events on open_plays.event_id = touched_events.event_id
),

changed_shows as (
    select user_id, named_show from changed where named_show is not null
    union
    select user_id, artist_name as named_show
    from {{ ref('refused_shows') }}
    where first_batch > {{ read_window('rejected')[0] }}
),

changed_ids as (
    select distinct name_hash from changed where track_id is not null
),

named_later as (
    select open_plays.*
    from open_plays
    inner join changed_shows on open_plays.user_id = changed_shows.user_id and open_plays.artist_name = changed_shows.named_show
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
