{% set columns = event_columns() + ['_ingested_at'] %}
{% set coordinates = ['_broker', '_topic', '_partition', '_offset'] %}
{% set compared = event_columns() | reject('in', ['event_id', 'produced_at']) | list %}

with arrived as (
    {{ bronze_events(['event_id']) }}
),

contested as (
    select event_id
    from arrived
    group by event_id
    having count(*) > 1
    {%- if is_incremental_build() %}
    union
    select touched_events.event_id
    from {{ ref('touched_events') }} as touched_events
    inner join (
        {%- for table in ['open_plays', 'silver_plays', 'silver_skips', 'silver_likes', 'silver_playlists', 'silver_rejected'] %}
        select event_id from {{ as_built(table) }}
        {%- if not loop.last %} union all{% endif %}
        {%- endfor %}
    ) as stored on touched_events.event_id = stored.event_id
    {%- endif %}
),

copies as (
    select everything.*
    from (
        {{ bronze_events(columns + coordinates, only_new=false) }}
    ) as everything
    inner join contested on everything.event_id = contested.event_id
),

ranked as (
    select
        *,
        -- A good copy before a broken one, one that says what was played before one that does not; then whatever orders all.
        row_number() over (
            partition by event_id
            order by
                case when {{ broken_reject_rule() }} is null then 0 else 1 end,
                case when content_type is null then 1 else 0 end,
                md5(
                    {%- for column in compared %}
                    coalesce(cast({{ column }} as varchar), chr(30)) || chr(31)
                    {%- if not loop.last %} ||{% endif %}
                    {%- endfor %}
                ),
                produced_at, _ingested_at, {{ coordinates | join(', ') }}
        ) as choice
    from copies
)

select {{ columns | join(', ') }}
from ranked
where choice = 1
