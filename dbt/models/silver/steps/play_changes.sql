select {{ play_change_columns() | join(', ') }}
from {{ ref('replaced_plays') }}
union all
select {{ prefix_all('plays', play_change_columns()) }}
from {{ ref('silver_plays') }} as plays
inner join {{ ref('touched_plays') }} as touched_plays on plays.event_id = touched_plays.event_id
where plays.processed_at >= {{ first_ingested_at() }}
