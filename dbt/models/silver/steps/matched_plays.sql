{#
  Which observations are the same play, for all observations to match. The observations of a listener form islands with gaps of hours
  between them. No match crosses such a gap, so each island is matched as a whole and independently of the others.
#}
with recursive plays_to_match as (
    select * from {{ ref('plays_to_match') }}
),

unmatched as (
    select play_observations.event_id
    from {{ ref('play_observations') }} as play_observations
    inner join (select distinct event_id from plays_to_match where source_class is null) as named on play_observations.event_id = named.event_id
    where play_observations.source_class is null
),

marks as (
    select
        play_observations.event_id, play_observations.user_id, play_observations.ended_at, 0 as is_changed
    from {{ ref('play_observations') }} as play_observations
    inner join (select distinct user_id from plays_to_match where source_class is not null) as listeners
        on play_observations.user_id = listeners.user_id
    where play_observations.source_class is not null
    union all
    select cast(null as varchar) as event_id, user_id, ended_at, 1 as is_changed
    from plays_to_match
    where source_class is not null
),

after_gaps as (
    select
        *,
        case
            when ended_at > {{ dbt.dateadd('hour', island_gap_hours(), 'lag(ended_at) over (partition by user_id order by ended_at)') }}
                then 1
            else 0
        end as begins_island
    from marks
),

numbered as (
    select
        event_id, user_id, is_changed,
        sum(begins_island) over (partition by user_id order by ended_at range between unbounded preceding and current row) as island
    from after_gaps
),

changed_islands as (
    select *, max(is_changed) over (partition by user_id, island) as is_island_changed
    from numbered
),

observations as (
    select
        play_observations.event_id, play_observations.user_id, islands.island, play_observations.source_class, play_observations.priority,
        play_observations.artist_name, play_observations.track_name, play_observations.ms_played, play_observations.name_hash, play_observations.track_id,
        play_observations.started_at, play_observations.ended_at
    from changed_islands as islands
    inner join {{ ref('play_observations') }} as play_observations on islands.event_id = play_observations.event_id
    where islands.is_island_changed = 1
),

{{ match_observations() }},

matched as (
    select observations.event_id, coalesce(matches.anchor_id, observations.event_id) as play_id
    from observations
    left join matches on observations.event_id = matches.sought_id
    union all
    select event_id, event_id as play_id from unmatched
)

select * from matched
