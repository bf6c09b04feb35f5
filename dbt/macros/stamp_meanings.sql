{#
  What a listener's stamps of ListenBrainz mean in a stretch of listening: the start of a play, its middle or its end. A player's plugin sends
  one of these, ListenBrainz's own connection to Spotify the end. A song played several times in a row fits each meaning, so all songs decide:
  the meaning by which most stamps have a play that is known exactly. See docs/decisions/0019.
#}

{# How far a clock can be wrong, in milliseconds. #}
{% macro clock_error_ms() %}{{ return(25000) }}{% endmacro %}

{# From a start to a stamp in the middle: half of the song, at most four minutes. #}
{% macro middle_ms(record) -%}
    least(coalesce({{ record }}.duration_ms, 0) / 2, 240000)
{%- endmacro %}

{# The CTE `name`: the meaning of a listener's stamps in an island, if it is not the start. #}
{% macro find_stamp_meanings(records, name) -%}
{%- set after_start = dbt.datediff('play.started_at', 'stamp.stated_at', 'millisecond') -%}
{%- set before_end = dbt.datediff('stamp.stated_at', 'play.ended_at', 'millisecond') -%}
stamp_votes as (
    select
        stamp.event_id, stamp.user_id, stamp.island,
        max(case when abs({{ after_start }}) <= {{ clock_error_ms() }} then 1 else 0 end) as is_start,
        max(case when abs({{ after_start }} - {{ middle_ms('stamp') }}) <= {{ clock_error_ms() }} then 1 else 0 end) as is_middle,
        max(case when abs({{ before_end }}) <= {{ clock_error_ms() }} then 1 else 0 end) as is_end
    from {{ records }} as stamp
    inner join {{ records }} as play on stamp.user_id = play.user_id and stamp.island = play.island and stamp.song = play.song
    where stamp.source_class = 'listenbrainz' and play.source_class in ('live', 'extended')
    group by stamp.event_id, stamp.user_id, stamp.island
),

{{ name }} as (
    select user_id, island, case when sum(is_middle) > sum(is_end) then 'middle' else 'end' end as meaning
    from stamp_votes
    group by user_id, island
    having greatest(sum(is_middle), sum(is_end)) > sum(is_start)
)
{%- endmacro %}

{# The times of a record by the meaning of its stamp. #}
{% macro times_by_meaning(record, meaning) -%}
    {%- for name in ['starts_from', 'starts_until'] %}
    case {{ meaning }}
        when 'end' then null
        when 'middle' then {{ dbt.dateadd('millisecond', '-cast(' ~ middle_ms(record) ~ ' as bigint)', record ~ '.' ~ name) }}
        else {{ record }}.{{ name }}
    end as {{ name }},
    {%- endfor %}
    {%- for name, seconds in [('ends_from', -3), ('ends_until', 3)] %}
    case {{ meaning }} when 'end' then {{ dbt.dateadd('second', seconds, record ~ '.stated_at') }} else {{ record }}.{{ name }} end as {{ name }},
    {%- endfor %}
    case {{ meaning }}
        when 'end' then {{ dbt.dateadd('millisecond', '-coalesce(' ~ record ~ '.duration_ms, 0)', record ~ '.stated_at') }}
        else {{ record }}.started_at
    end as started_at,
    case {{ meaning }} when 'end' then {{ record }}.stated_at else {{ record }}.ended_at end as ended_at
{%- endmacro %}
