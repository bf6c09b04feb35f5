{{ config(materialized='view') }}

select event_id, 'kept' as status, event_id as play_id
from {{ ref('silver_plays').include(database=false) }}
union all
select event_id, 'superseded' as status, play_id
from {{ ref('superseded_plays').include(database=false) }}
