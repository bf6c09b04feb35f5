{{ config(materialized='incremental', incremental_strategy='append') }}

{%- if is_incremental_build() %}

select records.event_id, records.user_id, records.source_class, records.ended_at
from {{ previous_build('play_records') }} as records
inner join {{ ref('touched_records') }} as touched_records on records.event_id = touched_records.event_id

{%- else %}

select
    cast(null as varchar) as event_id, cast(null as varchar) as user_id, cast(null as varchar) as source_class,
    cast(null as timestamptz) as ended_at
where false

{%- endif %}
