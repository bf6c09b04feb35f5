{#
  The observations whose record may change: those that arrived, and those that state the same moment as one that arrived or was replaced.
#}
{%- if is_incremental_build() %}

with changed as (
    select event_id, user_id, source_class, stated_at from {{ ref('replaced_observations') }}
    union all
    select observations.event_id, observations.user_id, observations.source_class, observations.stated_at
    from {{ ref('play_observations') }} as observations
    inner join {{ ref('touched_events') }} as touched_events on observations.event_id = touched_events.event_id
),

moments as (
    select distinct user_id, source_class, stated_at from changed where {{ has_copies() }}
)

select event_id from changed
union
select observations.event_id
from {{ ref('play_observations') }} as observations
inner join moments
    on
        observations.user_id = moments.user_id
        and observations.source_class = moments.source_class
        and observations.stated_at = moments.stated_at

{%- else %}

select cast(null as varchar) as event_id
where false

{%- endif %}
