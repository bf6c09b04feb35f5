{%- if is_incremental_build() %}

with play_observations as (
    select * from {{ ref('play_observations') }}
),

changed as (
    select user_id, track_id, name_hash, named_show
    from {{ ref('replaced_observations') }}
    union all
    select play_observations.user_id, play_observations.track_id, play_observations.name_hash, play_observations.named_show
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

completed_again as (
    select play_observations.event_id
    from play_observations
    inner join changed_shows on play_observations.user_id = changed_shows.user_id and play_observations.artist_name = changed_shows.named_show
    where play_observations.content_type is null
    union
    select play_observations.event_id
    from play_observations
    inner join changed_ids on play_observations.name_hash = changed_ids.name_hash
    where play_observations.track_id is null
    union
    select event_id from {{ ref('touched_records') }}
),

found as (
    select event_id, user_id, source_class, ended_at from {{ ref('replaced_records') }}
    union
    select records.event_id, records.user_id, records.source_class, records.ended_at
    from {{ ref('play_records') }} as records
    inner join completed_again on records.event_id = completed_again.event_id
)

{%- else %}

with found as (
    select event_id, user_id, source_class, ended_at from {{ ref('play_records') }}
)

{%- endif %}

select * from found
