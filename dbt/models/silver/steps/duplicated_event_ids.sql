with arrived as (
    {{ new_rows(['event_id'], ['plays', 'skips', 'likes', 'playlists', 'history'], "event_type <> 'now_playing'") }}
)

select event_id
from arrived
group by event_id
having count(*) > 1
{%- if is_incremental_build() %}
union
select arrived.event_id
from arrived
inner join (
    {%- for table in ['play_observations', 'silver_plays', 'silver_skips', 'silver_likes', 'silver_playlists', 'silver_rejected'] %}
    select event_id from {{ previous_build(table) }}
    {%- if not loop.last %} union all{% endif %}
    {%- endfor %}
) as stored on arrived.event_id = stored.event_id
{%- endif %}
