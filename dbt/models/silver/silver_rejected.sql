{{ config(materialized='incremental', incremental_strategy='replace_touched', touched_by='deduplicated_events', touched_key=['event_id']) }}

with
{%- for event_type, table in [('play', 'plays'), ('skip', 'skips'), ('like', 'likes'), ('playlist', 'playlists')] %}
new_{{ table }} as (
    {{ new_events(event_type, table) }}
),
{% endfor %}
arrived as (
    {%- for table in ['plays', 'skips', 'likes', 'playlists'] %}
    select *, {{ broken_reject_rule() }} as rule from new_{{ table }}
    {%- if not loop.last %} union all{% endif %}
    {%- endfor %}
)

select event_id, rule, {{ json_of(event_columns()) }} as event, _ingested_at as processed_at
from arrived
where rule is not null
