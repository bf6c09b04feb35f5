{#
  The match of records by stages: docs/decisions/0019-which-observations-are-one-play.md.
#}

{# The CTEs to `matches` (sought_id, hub_id): each class in turn takes the records of the classes after it that none before it has taken. #}
{% macro match_records(records, classes) -%}
{%- set done = [] -%}
{%- set has_late_ends = ['live', 'extended', 'short_second'] | select('in', classes) | list | length == 3 -%}
{%- for hub_class in classes[:-1] %}
    {%- set sought_classes = classes[loop.index:] %}
    {%- if has_late_ends and hub_class == 'live' %}
{{ match_one_to_one('live', records, 'live', sought_classes | reject('equalto', 'short_second') | list, done) }},
        {%- do done.append('live') %}

{{ widen_live_plays(records, 'left_plays') }},

{{ match_one_to_one('left', 'left_plays', 'live', ['short_second'], done) }},
        {%- do done.append('left') -%}
    {%- else %}
{{ match_one_to_one(hub_class, records, hub_class, sought_classes, done) }},
        {%- do done.append(hub_class) -%}
    {%- endif -%}
    {%- if hub_class == 'extended' or 'extended' not in classes[1:-1] and hub_class == 'live' %}
        {%- for name in ['live', 'extended'] | select('in', done) | list %}

{{ absorb(name, done) }},
            {%- do done.append(name ~ '_several') -%}
        {%- endfor -%}
    {%- endif -%}
{%- endfor %}

matches as (
    {%- for name in done %}
    select sought_id, hub_id from {{ name }}_matches
    {%- if not loop.last %} union all{% endif %}
    {%- else %}
    select cast(null as varchar) as sought_id, cast(null as varchar) as hub_id where false
    {%- endfor %}
)
{%- endmacro %}

{#
  `<name>_matches`, one to one for each class of the sought records. A pair with an equal start and end is preferred to one where one of them is
  equal, and that to one that is near.
#}
{% macro match_one_to_one(name, records, hub_class, sought_classes, done) -%}
{{ name }}_fits as (
    select
        sought.event_id as sought_id, hub.event_id as hub_id, sought.source_class as sought_class, sought.user_id, sought.island, sought.song,
        coalesce(sought.starts_from, sought.ends_from) as sought_at, coalesce(hub.starts_from, hub.ends_from) as hub_at,
        hub.started_at as hub_started_at, hub.ended_at as hub_ended_at, hub.ms_played as hub_ms_played, sought.started_at, sought.ended_at,
        {{ closed_at('hub') }} as hub_closed_at, sought.starts_until, sought.ends_from, sought.ms_played,
        case
            when not ({{ is_exact('sought', 'hub', hub_class) }} and {{ lengths_agree('sought', 'hub') }}) then 0
            when {{ is_hardly_listed('sought', 'hub') }} then 0
            when {{ is_exact('sought', 'hub', hub_class, 'and') }} then 2
            else 1
        end as exactness
    from {{ records }} as sought
    inner join {{ records }} as hub on sought.user_id = hub.user_id and sought.island = hub.island and sought.song = hub.song
    {%- for before in done %}
    left join {{ before }}_matches as sought_{{ before }} on sought.event_id = sought_{{ before }}.sought_id
    left join {{ before }}_matches as hub_{{ before }} on hub.event_id = hub_{{ before }}.sought_id
    {%- endfor %}
    where
        hub.source_class = '{{ hub_class }}' and sought.source_class in ({{ quote_all(sought_classes) }})
        {%- if hub_class == 'live' %} and hub.event_id = hub.live_id{% endif %}
        {%- if hub_class == 'extended' %} and sought.source_class <> 'short'{% endif %}
        {%- for before in done %}
        and sought_{{ before }}.sought_id is null and hub_{{ before }}.sought_id is null
        {%- endfor %}
        and {{ names_agree('sought', 'hub') }}
        and abs({{ dbt.datediff('hub.ended_at', 'sought.ended_at', 'second') }}) < {{ island_gap_hours() * 3600 }}
        and ({{ is_exact('sought', 'hub', hub_class) }} or {{ is_near('sought', 'hub', hub_class) }})
),

{{ choose_one_to_one(name, ['user_id', 'island', 'song', 'sought_class']) }}
{%- endmacro %}

{#
  From `<name>_fits`, the pairs (sought_id, hub_id) that fit, to `<name>_matches`, where each is at most once. Where a record has several
  partners, a greedy merge of the two lists of a group in order of time decides: each sought record takes the first hub that fits and lies after
  the last one taken, which leaves as few as possible alone.
#}
{% macro choose_one_to_one(name, group_columns) -%}
{%- set by_hub = 'hub_id, sought_class' if 'sought_class' in group_columns else 'hub_id' -%}
{%- set group_by = group_columns | join(', ') -%}
{{ name }}_preferred as (
    select
        *, max(exactness) over (partition by sought_id) as sought_exactness, max(exactness) over (partition by {{ by_hub }}) as hub_exactness
    from {{ name }}_fits
),

{{ name }}_counted as (
    select
        *, count(*) over (partition by sought_id) as hubs, count(*) over (partition by {{ by_hub }}) as rivals
    from {{ name }}_preferred
    where exactness = greatest(sought_exactness, hub_exactness)
),

{{ name }}_places as (
    select
        sought_id, hub_id,
        min(sought_id) over (partition by {{ group_by }}) as walk_id,
        dense_rank() over (partition by {{ group_by }} order by sought_at, sought_id) as sought_place,
        dense_rank() over (partition by {{ group_by }} order by hub_at, hub_id) as hub_place
    from {{ name }}_counted
    where hubs > 1 or rivals > 1
),

{{ name }}_steps as (
    select *, row_number() over (partition by walk_id order by sought_place, hub_place) as step
    from {{ name }}_places
),

{{ name }}_walk as (
    select walk_id, step, sought_id, hub_id, sought_place as last_sought, hub_place as last_hub, 1 as is_taken
    from {{ name }}_steps
    where step = 1
    union all
    select
        pairs.walk_id, pairs.step, pairs.sought_id, pairs.hub_id,
        case when {{ is_after_both() }} then pairs.sought_place else walk.last_sought end as last_sought,
        case when {{ is_after_both() }} then pairs.hub_place else walk.last_hub end as last_hub,
        case when {{ is_after_both() }} then 1 else 0 end as is_taken
    from {{ name }}_walk as walk
    inner join {{ name }}_steps as pairs on walk.walk_id = pairs.walk_id and walk.step + 1 = pairs.step
),

{{ name }}_matches as (
    select sought_id, hub_id from {{ name }}_walk where is_taken = 1
    union all
    select sought_id, hub_id from {{ name }}_counted where hubs = 1 and rivals = 1
)
{%- endmacro %}

{% macro is_after_both() -%}
    pairs.sought_place > walk.last_sought and pairs.hub_place > walk.last_hub
{%- endmacro %}

{# Live plays that end as late as the extended row of each: a player that is paused can be left an hour later. #}
{% macro widen_live_plays(records, name) -%}
{%- set columns = [
    'event_id', 'user_id', 'island', 'song', 'source_class', 'track_id', 'isrc', 'artist_key', 'ms_played', 'duration_ms', 'stated_at',
    'starts_from', 'starts_until', 'ends_from', 'started_at', 'ended_at', 'live_id'] -%}
late_ends as (
    select live_matches.hub_id, max({{ dbt.dateadd('second', 1, closed_at('extended')) }}) as ends_until
    from live_matches
    inner join {{ records }} as extended on live_matches.sought_id = extended.event_id
    where extended.source_class = 'extended'
    group by live_matches.hub_id
),

{{ name }} as (
    select
        {{ prefix_all('records', columns) }}, greatest(records.ends_until, coalesce(late_ends.ends_until, records.ends_until)) as ends_until
    from {{ records }} as records
    left join late_ends on records.event_id = late_ends.hub_id
)
{%- endmacro %}

{#
  The service lists a resumed song again: a stamp that is left and lies in a live or extended play of its song belongs to it, however many there
  are. A row with a length does if it is the rest of what was heard live.
#}
{% macro absorb(hub_class, done) -%}
{%- set name = hub_class ~ '_several' -%}
{{ name }}_fits as (
    select
        fits.sought_id, fits.hub_id,
        row_number() over (
            partition by fits.sought_id
            order by fits.exactness desc, abs({{ dbt.datediff('fits.ended_at', 'fits.hub_ended_at', 'second') }}), fits.hub_id
        ) as choice
    from {{ hub_class }}_fits as fits
    {%- if hub_class == 'live' %}
    left join (
        select hub_id, sought_class, max(ms_played) as ms_played
        from (
            select live_fits.*
            from live_fits
            inner join live_matches on live_fits.sought_id = live_matches.sought_id and live_fits.hub_id = live_matches.hub_id
        ) as taken
        group by hub_id, sought_class
    ) as parts on fits.hub_id = parts.hub_id and fits.sought_class = parts.sought_class
    {%- endif %}
    {%- for before in done %}
    left join {{ before }}_matches as sought_{{ before }} on fits.sought_id = sought_{{ before }}.sought_id
    {%- endfor %}
    where
        {%- if hub_class == 'live' %}
        case
            when fits.sought_class in ('extended', 'short')
                then coalesce(fits.ms_played >= 5000 and fits.ms_played + parts.ms_played <= fits.hub_ms_played + 5000, false)
            when fits.sought_class in ('recent', 'short_second')
                then fits.ends_from >= {{ dbt.dateadd('second', 2, 'fits.hub_started_at') }}
            else coalesce(fits.starts_until, fits.ends_from) >= {{ dbt.dateadd('second', -3, 'fits.hub_started_at') }}
        end
        and coalesce(fits.ends_from, fits.started_at) <= {{ dbt.dateadd('second', 15, 'fits.hub_ended_at') }}
        {%- else %}
        fits.sought_class <> 'short_second'
        and coalesce(fits.ends_from, fits.starts_until) >= fits.hub_started_at
        and coalesce(fits.ends_from, fits.started_at) <= fits.hub_closed_at
        {%- endif %}
        {%- for before in done %}
        and sought_{{ before }}.sought_id is null
        {%- endfor %}
),

{{ name }}_matches as (
    select sought_id, hub_id from {{ name }}_fits where choice = 1
)
{%- endmacro %}
