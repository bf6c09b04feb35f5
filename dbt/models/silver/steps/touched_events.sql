select distinct event_id
from (
    {{ bronze_events(['event_id']) }}
) as arrived
{%- if not is_incremental_build() %}
where false
{%- endif %}
