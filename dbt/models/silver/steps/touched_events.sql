select distinct event_id
from {{ ref('arrived_events') }}
where event_type <> 'now_playing'
