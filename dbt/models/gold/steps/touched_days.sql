{{ config(schema='silver') }}

with play_changes as (
    select * from {{ ref('play_changes') }}
)

select distinct
    user_id,
    played_date as date
from play_changes
