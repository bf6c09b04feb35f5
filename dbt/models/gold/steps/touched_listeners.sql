{{ config(schema='silver') }}

with play_changes as (
    select * from {{ ref('play_changes') }}
)

select
    user_id,
    min(played_at) as first_touched_at
from play_changes
group by user_id
