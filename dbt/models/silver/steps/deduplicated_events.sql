{% set columns = event_columns() + ['_ingested_at'] %}
{% set coordinates = ['_broker', '_topic', '_partition', '_offset'] %}
{#- A download can have names null that another download of the same row knows. -#}
{% set names = ['track_name', 'artist_name', 'album_name'] %}
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

judged as (
    select *, case when {{ broken_reject_rule() }} is null then 0 else 1 end as is_broken
    from copies
),

ranked as (
    select
        *,
        -- A valid copy before an invalid one, one that knows more before one that knows less; then a total order of the contents.
        row_number() over (
            partition by event_id
            order by
                is_broken,
                case when content_type is null then 1 else 0 end,
                {%- for column in names %}
                case when {{ column }} is null then 1 else 0 end,
                {%- endfor %}
                {{ basis_rank() }}, case when source_ref like '%#%' then 0 else 1 end,
                md5(
                    {%- for column in compared %}
                    coalesce(cast({{ column }} as varchar), chr(30)) || chr(31)
                    {%- if not loop.last %} ||{% endif %}
                    {%- endfor %}
                ),
                produced_at, _ingested_at, {{ coordinates | join(', ') }}
        ) as choice
    from judged
),

completed as (
    select
        {%- for column in columns %}
        {% if column in names -%}
        first_value({{ column }} ignore nulls) over (
            partition by event_id, is_broken, event_type, user_id order by choice {{ whole_partition() }}
        ) as {{ column }}
        {%- else -%}
        {{ column }}
        {%- endif %},
        {%- endfor %}
        choice
    from ranked
)

select {{ columns | join(', ') }}
from completed
where choice = 1
