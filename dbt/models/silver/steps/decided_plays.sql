{#
  Which observations are one play, for all that were reopened. A listener's observations fall into islands with hours of silence
  between them; no match reaches over such a gap, so an island is decided whole and alone, whatever came first.
#}
with recursive reopened as (
    select * from {{ ref('reopened_plays') }}
),

single as (
    select open_plays.event_id
    from {{ ref('open_plays') }} as open_plays
    inner join (select distinct event_id from reopened where source_class is null) as named on open_plays.event_id = named.event_id
    where open_plays.source_class is null
),

marks as (
    select
        open_plays.event_id, open_plays.user_id, open_plays.ended_at, 0 as is_reopened
    from {{ ref('open_plays') }} as open_plays
    inner join (select distinct user_id from reopened where source_class is not null) as listeners
        on open_plays.user_id = listeners.user_id
    where open_plays.source_class is not null
    union all
    select cast(null as varchar) as event_id, user_id, ended_at, 1 as is_reopened
    from reopened
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
        event_id, user_id, is_reopened,
        sum(begins_island) over (partition by user_id order by ended_at range between unbounded preceding and current row) as island
    from after_gaps
),

reopened_islands as (
    select *, max(is_reopened) over (partition by user_id, island) as is_island_reopened
    from numbered
),

observations as (
    select
        open_plays.event_id, open_plays.user_id, islands.island, open_plays.source_class, open_plays.priority,
        open_plays.artist_name, open_plays.track_name, open_plays.ms_played, open_plays.name_hash, open_plays.track_id,
        open_plays.started_at, open_plays.ended_at
    from reopened_islands as islands
    inner join {{ ref('open_plays') }} as open_plays on islands.event_id = open_plays.event_id
    where islands.is_island_reopened = 1
),

{{ match_observations() }},

decided as (
    select observations.event_id, coalesce(matches.anchor_id, observations.event_id) as play_id
    from observations
    left join matches on observations.event_id = matches.sought_id
    union all
    select event_id, event_id as play_id from single
)

select * from decided
