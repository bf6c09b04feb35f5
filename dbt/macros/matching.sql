{#
  Which observations are the same play. The match is one to one, and a pure function of the set of observations: the order of arrival
  does not matter.
#}

{# Two observations of one play end less than this apart. #}
{% macro island_gap_hours() %}{{ return(12) }}{% endmacro %}

{#
  The CTEs from `observations` to `matches` (sought_id, anchor_id). Each class of source, in the order of its rank, is matched with the
  observations of better classes: first by the rule for exports (a short row and its extended one), then by the general rule.
#}
{% macro match_observations() %}
{{ match_one_to_one(
    'exact', ["source_class = 'short'"], ["source_class = 'extended'"], ['artist_name', 'track_name', 'ms_played'], is_same_export_row()
) }}
{%- set done = ['exact'] -%}
{%- for source_class, priority in [('live', 2), ('recent', 3), ('short', 4), ('listenbrainz', 5), ('lastfm', 6)] %}
    {%- for key in ['name_hash', 'track_id'] -%}
        {%- set name = source_class ~ '_by_' ~ key -%}
        {%- set sought = ["source_class = '" ~ source_class ~ "'"] -%}
        {#- Short and extended rows are matched by the rule for exports alone. -#}
        {%- set anchors = ['priority < ' ~ priority] + (["source_class <> 'extended'"] if source_class == 'short' else []) -%}
        {%- if key == 'track_id' -%}
            {%- do anchors.append('event_id not in (select anchor_id from ' ~ source_class ~ '_by_name_hash)') -%}
        {%- endif -%}
        {%- for before in done -%}
            {%- do sought.append('event_id not in (select sought_id from ' ~ before ~ ')') -%}
            {%- do anchors.append('event_id not in (select sought_id from ' ~ before ~ ')') -%}
        {%- endfor -%}
,
{{ match_one_to_one(name, sought, anchors, [key], is_same_time()) }}
        {%- do done.append(name) -%}
    {%- endfor -%}
{%- endfor %},

matches as (
    {%- for name in done %}
    select sought_id, anchor_id from {{ name }}
    {%- if not loop.last %} union all{% endif %}
    {%- endfor %}
)
{%- endmacro %}

{# The rule for exports: the extended row ends from 61 s before to 180 s after the minute of the short row. #}
{% macro is_same_export_row() -%}
    anchor.ended_at >= {{ dbt.dateadd('second', -61, 'sought.ended_at') }}
    and anchor.ended_at <= {{ dbt.dateadd('second', 180, 'sought.ended_at') }}
{%- endmacro %}

{#
  The general rule: both start, or both end, within a minute of each other (a short row has only its minute; recently played may give the
  start or the end), or more than half of the shorter one overlaps the other.
#}
{% macro is_same_time() -%}
    (
        abs({{ dbt.datediff('anchor.started_at', 'sought.started_at', 'second') }}) <= 60
        or {{ dbt.datediff('sought.ended_at', 'anchor.ended_at', 'second') }} between -60 and 60
        or (sought.source_class = 'short' and {{ dbt.datediff('sought.ended_at', 'anchor.ended_at', 'second') }} between -61 and 180)
        or (sought.source_class = 'recent' and abs({{ dbt.datediff('anchor.started_at', 'sought.ended_at', 'second') }}) <= 60)
        or 2 * {{ dbt.datediff('greatest(anchor.started_at, sought.started_at)', 'least(anchor.ended_at, sought.ended_at)', 'second') }}
        > least(
            {{ dbt.datediff('anchor.started_at', 'anchor.ended_at', 'second') }},
            {{ dbt.datediff('sought.started_at', 'sought.ended_at', 'second') }}
        )
    )
    and abs({{ dbt.datediff('anchor.ended_at', 'sought.ended_at', 'second') }}) < {{ island_gap_hours() * 3600 }}
{%- endmacro %}

{#
  A greedy merge of two sorted lists: each sought observation, in order of time, takes the first fitting anchor with its key that lies after
  the last anchor taken. Every fitting pair is one step of the walk; a step is taken if both its observations are after the last ones taken.
#}
{% macro match_one_to_one(name, sought_where, anchor_where, keys, condition) -%}
{%- set group_columns = (['user_id', 'island'] + keys) -%}
{%- set group_by = group_columns | join(', ') -%}
{{ name }}_sought as (
    select *, row_number() over (partition by {{ group_by }} order by ended_at, event_id) as place
    from observations
    where {{ sought_where | join(' and ') }}
),

{{ name }}_anchors as (
    select *, row_number() over (partition by {{ group_by }} order by ended_at, event_id) as place
    from observations
    where {{ anchor_where | join(' and ') }}
),

{{ name }}_pairs as (
    select
        sought.event_id as sought_id, anchor.event_id as anchor_id, sought.place as sought_place, anchor.place as anchor_place,
        min(sought.event_id) over (partition by {{ prefix_all('sought', group_columns) }}) as walk_id,
        row_number() over (partition by {{ prefix_all('sought', group_columns) }} order by sought.place, anchor.place) as step
    from {{ name }}_sought as sought
    inner join {{ name }}_anchors as anchor
        on
        {%- for column in group_columns %}
            sought.{{ column }} = anchor.{{ column }} and
        {%- endfor %}
            {{ condition }}
),

{{ name }}_walk as (
    select
        walk_id, step, sought_id, anchor_id, sought_place as last_sought, anchor_place as last_anchor, 1 as is_taken
    from {{ name }}_pairs
    where step = 1
    union all
    select
        pairs.walk_id, pairs.step, pairs.sought_id, pairs.anchor_id,
        case
            when pairs.sought_place > walk.last_sought and pairs.anchor_place > walk.last_anchor then pairs.sought_place
            else walk.last_sought
        end as last_sought,
        case
            when pairs.sought_place > walk.last_sought and pairs.anchor_place > walk.last_anchor then pairs.anchor_place
            else walk.last_anchor
        end as last_anchor,
        case when pairs.sought_place > walk.last_sought and pairs.anchor_place > walk.last_anchor then 1 else 0 end as is_taken
    from {{ name }}_walk as walk
    inner join {{ name }}_pairs as pairs on walk.walk_id = pairs.walk_id and walk.step + 1 = pairs.step
),

{{ name }} as (
    select sought_id, anchor_id from {{ name }}_walk where is_taken = 1
)
{%- endmacro %}

{% macro prefix_all(prefix, columns) -%}
    {%- for column in columns %}{{ prefix }}.{{ column }}{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}
