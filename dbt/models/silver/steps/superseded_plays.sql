{{ config(materialized='incremental', incremental_strategy='replace_touched', touched_by='touched_plays', touched_key=['event_id']) }}

-- depends_on: {{ ref('touched_plays') }}

select event_id, play_id
from {{ ref('matched_plays') }}
where event_id <> play_id
