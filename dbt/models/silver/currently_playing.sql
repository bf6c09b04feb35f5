{{ config(schema='raw', materialized='incremental', incremental_strategy='delete+insert', unique_key='event_id') }}

{% set columns = event_columns() + ['_ingested_at', '_broker', '_topic', '_partition', '_offset'] %}

with arrived as (
    {{ new_rows(columns, ['now_playing', 'history'], "event_type = 'now_playing'") }}
),

copies as (
    {%- if is_incremental_build() %}
    select everything.*
    from (
        {{ all_rows(columns, ['now_playing', 'history'], "event_type = 'now_playing'") }}
    ) as everything
    inner join (select distinct event_id from arrived) as touched on everything.event_id = touched.event_id
    {%- if is_empty('(select 1 from ' ~ ref('arrived_events') ~ " where event_type = 'now_playing')") %}
    where false
    {%- endif %}
    {%- else %}
    select * from arrived
    {%- endif %}
),

ranked as (
    select
        *,
        row_number() over (
            partition by event_id
            order by
                user_id, track_id, track_name, artist_name, played_at, produced_at, _ingested_at, _broker, _topic, _partition, _offset
        ) as choice
    from copies
)

select
    event_id, user_id, track_id, track_name, artist_name as artist, played_at as started_at,
    coalesce(produced_at, _ingested_at) as detected_at, source, _ingested_at as processed_at
from ranked
where choice = 1
