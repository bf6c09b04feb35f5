{#
  The observations whose record may change: those that arrived, rows of exports with the same length as one that arrived or was replaced, and
  scrobbles of the same moment and length. Whatever can be compared with a row here must be here too: play_records looks at nothing else.
#}
{%- if is_incremental_build() %}

with observations as (
    select event_id, user_id, source_class, stated_at, ms_played from {{ ref('play_observations') }}
),

changed as (
    select event_id, user_id, source_class, stated_at, ms_played from {{ ref('replaced_observations') }}
    union all
    select observations.*
    from observations
    inner join {{ ref('touched_events') }} as touched_events on observations.event_id = touched_events.event_id
),

lengths as (
    select distinct user_id, ms_played from changed where {{ has_two_forms() }}
),

moments as (
    select distinct user_id, source_class, stated_at, ms_played from changed where {{ has_copies() }}
)

select event_id from changed
union
select observations.event_id
from observations
inner join lengths on observations.user_id = lengths.user_id and observations.ms_played = lengths.ms_played
where {{ has_two_forms() }}
union
select observations.event_id
from observations
inner join moments
    on
        observations.user_id = moments.user_id
        and observations.source_class = moments.source_class
        and observations.stated_at = moments.stated_at
        and observations.ms_played is not distinct from moments.ms_played

{%- else %}

select cast(null as varchar) as event_id
where false

{%- endif %}
