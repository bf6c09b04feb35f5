{%- if is_incremental_build() %}

with play_observations as (
    select * from {{ ref('play_observations') }}
),

changed as (
    select event_id, user_id, artist_name, content_type, track_id, name_hash, source_class, ended_at, named_show
    from {{ ref('replaced_observations') }}
    union all
    select
        play_observations.event_id, play_observations.user_id, play_observations.artist_name, play_observations.content_type, play_observations.track_id,
        play_observations.name_hash, play_observations.source_class, play_observations.ended_at, play_observations.named_show
    from play_observations
    inner join {{ ref('touched_events') }} as touched_events on play_observations.event_id = touched_events.event_id
),

changed_shows as (
    select user_id, named_show from changed where named_show is not null
    union
    select user_id, artist_name as named_show
    from {{ ref('shows_in_rejected_rows') }}
    where first_batch > {{ read_window('rejected')[0] }}
),

changed_ids as (
    select distinct name_hash from changed where track_id is not null
),

content_type_changed as (
    select play_observations.*
    from play_observations
    inner join changed_shows on play_observations.user_id = changed_shows.user_id and play_observations.artist_name = changed_shows.named_show
    where play_observations.content_type is null
),

track_id_changed as (
    select play_observations.*
    from play_observations
    inner join changed_ids on play_observations.name_hash = changed_ids.name_hash
    where play_observations.track_id is null
),

found as (
    select event_id, user_id, source_class, ended_at from changed
    union
    select event_id, user_id, source_class, ended_at from content_type_changed
    union
    select event_id, user_id, source_class, ended_at from track_id_changed
)

{%- else %}

with found as (
    select event_id, user_id, source_class, ended_at from {{ ref('play_observations') }}
)

{%- endif %}

select * from found
