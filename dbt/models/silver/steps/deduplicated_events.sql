{% set columns = event_columns() + ['_ingested_at'] %}
{% set coordinates = ['_broker', '_topic', '_partition', '_offset'] %}
{% set compared = event_columns() | reject('in', ['event_id', 'produced_at']) | list %}

with copies as (
    select everything.*
    from (
        {{ all_rows(columns + coordinates, ['plays', 'skips', 'likes', 'playlists', 'history'], "event_type <> 'now_playing'") }}
    ) as everything
    inner join {{ ref('duplicated_event_ids') }} as duplicated_event_ids on everything.event_id = duplicated_event_ids.event_id
    {%- if is_empty(ref('duplicated_event_ids')) %}
    where false
    {%- endif %}
),

ranked as (
    select
        *,
        -- A valid copy before an invalid one, one with a content_type before one without; then a total order of the contents.
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
