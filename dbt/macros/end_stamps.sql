{#
  What a listener's stamps of ListenBrainz mean in a stretch of listening: the start of a play, or its end, as ListenBrainz's own connection to
  Spotify and some plugins have it. A song played several times in a row fits both, so all songs decide: the meaning by which most stamps have a
  play that is known exactly. See docs/decisions/0019.
#}

{# How far a clock can be wrong, in milliseconds. #}
{% macro clock_error_ms() %}{{ return(25000) }}{% endmacro %}

{# The CTE `name`: listener and island of the stamps that mean the end. #}
{% macro find_end_stamps(records, name) -%}
{%- set after_start = dbt.datediff('play.started_at', 'stamp.stated_at', 'millisecond') -%}
{%- set before_end = dbt.datediff('stamp.stated_at', 'play.ended_at', 'millisecond') -%}
stamp_votes as (
    select
        stamp.event_id, stamp.user_id, stamp.island,
        max(case when abs({{ after_start }}) <= {{ clock_error_ms() }} then 1 else 0 end) as is_start,
        max(case when abs({{ before_end }}) <= {{ clock_error_ms() }} then 1 else 0 end) as is_end
    from {{ records }} as stamp
    inner join {{ records }} as play on stamp.user_id = play.user_id and stamp.island = play.island and stamp.song = play.song
    where stamp.source_class = 'listenbrainz' and play.source_class in ('live', 'extended')
    group by stamp.event_id, stamp.user_id, stamp.island
),

{{ name }} as (
    select user_id, island
    from stamp_votes
    group by user_id, island
    having sum(is_end) > sum(is_start)
)
{%- endmacro %}

{# The times of a record, where `is_end` says whether its stamp is the end. #}
{% macro times_by_stamp(record, is_end) -%}
    {%- set end_times = {
        'starts_from': 'null',
        'starts_until': 'null',
        'ends_from': dbt.dateadd('second', -3, record ~ '.stated_at'),
        'ends_until': dbt.dateadd('second', 3, record ~ '.stated_at'),
        'started_at': dbt.dateadd('millisecond', '-coalesce(' ~ record ~ '.duration_ms, 0)', record ~ '.stated_at'),
        'ended_at': record ~ '.stated_at',
    } -%}
    {%- for name, time in end_times.items() %}
    case when {{ is_end }} then {{ time }} else {{ record }}.{{ name }} end as {{ name }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
