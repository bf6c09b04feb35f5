{{ config(materialized='incremental', incremental_strategy='replace_touched', touched_by='deduplicated_events', touched_key=['event_id']) }}

with arrived as (
    {{ new_events('like', 'likes') }}
)

select
    {{ normal_columns(event_columns()) }},
    {{ broken_flag_rules('like') }} as quality_flags,
    {{ utc_date('played_at') }} as played_date,
    _ingested_at as processed_at
from arrived
where {{ broken_reject_rule() }} is null
