{#
  Which observations are the same play, for all observations to match. The records of a listener form islands with gaps of hours between them.
  No match crosses such a gap, so each island is matched as a whole and independently of the others. See docs/decisions/0019.
#}
{% set classes = present_classes(ref('play_records')) %}
with recursive plays_to_match as (
    select * from {{ ref('plays_to_match') }}
),

unmatched as (
    select records.event_id
    from {{ ref('play_records') }} as records
    inner join (select distinct event_id from plays_to_match where source_class is null) as named on records.event_id = named.event_id
    where records.source_class is null
),

marks as (
    select records.event_id, records.user_id, records.ended_at, 0 as is_changed
    from {{ ref('play_records') }} as records
    inner join (select distinct user_id from plays_to_match where source_class is not null) as listeners on records.user_id = listeners.user_id
    where records.source_class is not null and records.event_id = records.record_id
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

records as (
    select records.*, islands.island
    from changed_islands as islands
    inner join {{ ref('play_records') }} as records on islands.event_id = records.event_id
    where islands.is_island_changed = 1
),

{{ label_songs('records', 'labelled') }},

{{ join_live_plays('labelled', 'sounded') }},

{{ match_records('sounded', classes) }},

hubs as (
    select sounded.event_id as record_id, coalesce(above.hub_id, matches.hub_id, sounded.live_id, sounded.event_id) as hub_id
    from sounded
    left join matches on coalesce(sounded.live_id, sounded.event_id) = matches.sought_id
    -- An extended row that had taken a stamp can be a part of a live play.
    left join matches as above on matches.hub_id = above.sought_id
),

observed as (
    select records.event_id, hubs.hub_id, records.source_class, records.priority, records.record_id
    from hubs
    inner join {{ ref('play_records') }} as records on hubs.record_id = records.record_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by hub_id order by priority, case when event_id = record_id then 0 else 1 end, event_id
        ) as rank_in_play,
        -- Several records of one class in a play: each has a part of it.
        case
            when min(record_id) over (partition by hub_id, source_class) <> max(record_id) over (partition by hub_id, source_class) then 1
            else 0
        end as is_part
    from observed
),

matched as (
    select
        event_id, first_value(event_id) over (partition by hub_id order by rank_in_play {{ whole_partition() }}) as play_id, rank_in_play,
        is_part
    from ranked
    union all
    select event_id, event_id as play_id, 1 as rank_in_play, 0 as is_part from unmatched
)

select * from matched
