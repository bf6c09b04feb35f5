{#
  Which observations are one play: docs/decisions/0019-which-observations-are-one-play.md. Everything here is a pure function of the set of
  observations, so the order of arrival does not matter.
#}

{# Two observations of one play end less than this apart. #}
{% macro island_gap_hours() %}{{ return(12) }}{% endmacro %}

{# The kinds of sources whose plays are matched, the one with the most exact times first. #}
{% macro hub_classes() %}
    {{ return(['live', 'extended', 'short', 'short_second', 'recent', 'listenbrainz', 'api', 'lastfm', 'lastfm_minute']) }}
{% endmacro %}

{# Those of the classes that have a record: a class without any costs a build nothing. #}
{% macro present_classes(records) %}
    {%- if not execute -%}{{ return(hub_classes()) }}{%- endif -%}
    {%- set found = run_query('select distinct source_class from ' ~ records ~ ' where source_class is not null').columns[0].values() -%}
    {{ return(hub_classes() | select('in', found) | list) }}
{% endmacro %}

{# The kind of source of an observation; null if it is never matched. #}
{% macro source_class() -%}
    case
        when source = 'spotify_live' then 'live'
        when source = 'spotify_export' and source_ref like 'extended:%' then 'extended'
        when source = 'spotify_export' and source_ref like 'short:%' then case when ms_played is null then 'short_second' else 'short' end
        when source = 'spotify_recent' then 'recent'
        when source = 'lastfm' and source_ref like 'lastfm_minute:%' then 'lastfm_minute'
        when source in ('listenbrainz', 'lastfm', 'api') then source
    end
{%- endmacro %}

{# Rank of source_class for the values of a play, the best first. #}
{% macro class_priority() -%}
    case source_class
    {%- for name in ['extended', 'live', 'recent', 'short', 'short_second', 'listenbrainz', 'api', 'lastfm', 'lastfm_minute'] %}
        when '{{ name }}' then {{ loop.index }}
    {%- endfor %}
    end
{%- endmacro %}

{# Whether the rows of several downloads of this kind are compared: they state the same moment. #}
{% macro has_copies() -%}
    source_class in ('extended', 'short', 'short_second', 'listenbrainz', 'lastfm', 'lastfm_minute')
{%- endmacro %}

{# Whether the rows of this kind are in two forms of an export. #}
{% macro has_two_forms() -%}
    source_class in ('extended', 'short')
{%- endmacro %}

{% macro isrc() -%}
    case
        when extra like '%"isrc"%'
            then upper(coalesce({{ json_text('extra', ['isrc']) }}, {{ json_text('extra', ['external_ids', 'isrc']) }}))
    end
{%- endmacro %}

{# In a record: the row that knows most comes first. #}
{% macro best_row_first() -%}
    case when track_id is null then 1 else 0 end, case when artist_key is null or title_key is null then 1 else 0 end,
    case when reason_start is null then 1 else 0 end, case when reason_end is null then 1 else 0 end, event_id
{%- endmacro %}

{% macro of_one_record() -%}
    partition by user_id, source_class, stated_at, ms_played, title, artist, twin
{%- endmacro %}

{% macro first_known(column) -%}
    first_value({{ column }} ignore nulls) over ({{ of_one_record() }} order by {{ best_row_first() }} {{ whole_partition() }})
{%- endmacro %}

{% macro best_time_first() -%}
    {{ of_one_record() }} order by {{ basis_rank() }}, {{ best_row_first() }} {{ whole_partition() }}
{%- endmacro %}

{#
  The times that a source allows for start and end of a play. A stamp of recently-played is either; a scrobble is a start; the short form has
  the minute of the end. An extended row's own moment comes up to 2 s late, so its start and end can be earlier than they look.
#}
{% macro time_windows() -%}
    {%- set windows = {
        'starts_from': [
            ("source_class in ('live', 'extended', 'listenbrainz', 'lastfm', 'api')", 'started_at', -2), ("source_class = 'recent'", 'ended_at', -3),
            ("source_class in ('short', 'lastfm_minute')", 'started_at', 0)],
        'starts_until': [
            ("source_class in ('live', 'listenbrainz', 'lastfm', 'api')", 'started_at', 2), ("source_class = 'extended'", 'started_at', 1),
            ("source_class = 'recent'", 'ended_at', 3),
            ("source_class in ('short', 'lastfm_minute')", 'started_at', 59)],
        'ends_from': [
            ("source_class in ('live', 'extended', 'short_second')", 'ended_at', -2), ("source_class = 'recent'", 'ended_at', -3),
            ("source_class = 'short'", 'ended_at', 0)],
        'ends_until': [
            ("source_class in ('live', 'short_second')", 'ended_at', 2), ("source_class = 'recent'", 'ended_at', 3),
            ("source_class = 'short'", 'ended_at', 59), ("source_class = 'extended'", 'ended_at', 1)],
    } -%}
    {%- for name, cases in windows.items() %}
    case
        {%- for condition, moment, seconds in cases %}
        when {{ condition }} then {{ dbt.dateadd('second', seconds, moment) }}
        {%- endfor %}
    end as {{ name }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{#
  The song of each record, as one text in an island: its title, where records with the same id or recording code have one title. Three passes
  join what is linked by way of another record.
#}
{% macro label_songs(records, name) -%}
{%- set sets = [('isrc', records, 'title_key'), ('track_id', 'songs_1', 'song_1'), ('song_1', 'songs_2', 'song_2'), ('track_id', 'songs_3', 'song_3')] -%}
{%- for key, before, song in sets %}
{% if loop.last %}{{ name }}{% else %}songs_{{ loop.index }}{% endif %} as (
    select
        *,
        coalesce(
            case when {{ key }} is not null then min({{ song }}) over (partition by user_id, island, {{ key }}) end,
            {{ song }}{% if loop.last %}, track_id, event_id{% endif %}
        ) as {% if loop.last %}song{% else %}song_{{ loop.index }}{% endif %}
    from {{ before }}
){% if not loop.last %},{% endif %}
{%- endfor %}
{%- endmacro %}

{#
  Live plays of one song that overlap by more than half of the shorter one (at least 3 s, at most 15), or that start within 2 s and are as
  long to 2 s, less than the time between two polls, are one: `live_id` is its first, and its interval spans all.
#}
{% macro join_live_plays(records, name) -%}
live_plays as (
    select
        *, max(ended_at) over (partition by user_id, island, song order by started_at, event_id rows between unbounded preceding and 1 preceding)
            as ended_before,
        lag(started_at) over (partition by user_id, island, song order by started_at, event_id) as started_before,
        lag(ms_played) over (partition by user_id, island, song order by started_at, event_id) as ms_before
    from {{ records }}
    where source_class = 'live'
),

live_joints as (
    select
        *,
        case
            when
                {{ dbt.datediff('started_at', 'ended_before', 'second') }}
                > least(15, greatest(3, {{ dbt.datediff('started_at', 'ended_at', 'second') }} / 2.0))
                or (started_at <= {{ dbt.dateadd('second', 2, 'started_before') }} and abs(ms_played - ms_before) <= 2000)
                then 0
            else 1
        end as begins
    from live_plays
),

live_numbers as (
    select
        *, sum(begins) over (partition by user_id, island, song order by started_at, event_id rows between unbounded preceding and current row)
            as live_number
    from live_joints
),

live_intervals as (
    select
        event_id,
        first_value(event_id) over (partition by user_id, island, song, live_number order by started_at, event_id {{ whole_partition() }}) as live_id,
        max(ended_at) over (partition by user_id, island, song, live_number) as live_ended_at,
        max(ends_until) over (partition by user_id, island, song, live_number) as live_ends_until
    from live_numbers
),

{{ find_end_stamps(records, 'end_stamps') }},

timed as (
    select
        records.event_id, records.user_id, records.island, records.song, records.source_class, records.track_id, records.isrc,
        records.artist_key, records.ms_played, records.duration_ms, records.stated_at,
        {{ times_by_stamp('records', 'end_stamps.user_id is not null') }}
    from {{ records }} as records
    left join end_stamps
        on records.source_class = 'listenbrainz' and records.user_id = end_stamps.user_id and records.island = end_stamps.island
),

{{ name }} as (
    select
        timed.event_id, timed.user_id, timed.island, timed.song, timed.source_class, timed.track_id, timed.isrc, timed.artist_key,
        timed.ms_played, timed.duration_ms, timed.stated_at, timed.starts_from, timed.starts_until, timed.ends_from, timed.started_at,
        live_intervals.live_id,
        coalesce(live_intervals.live_ended_at, timed.ended_at) as ended_at,
        coalesce(live_intervals.live_ends_until, timed.ends_until) as ends_until
    from timed
    left join live_intervals on timed.event_id = live_intervals.event_id
)
{%- endmacro %}

{% macro prefix_all(prefix, columns) -%}
    {%- for column in columns %}{{ prefix }}.{{ column }}{% if not loop.last %}, {% endif %}{% endfor -%}
{%- endmacro %}
