{#
  When two records can be one play: docs/decisions/0019-which-observations-are-one-play.md.
#}

{#
  Whether the names contradict each other: the song is the same, so only artists can. Sources name one or several artists, and an equal id,
  recording code or length to the millisecond outweighs a name.
#}
{% macro names_agree(a, b) -%}
    (
        {{ a }}.artist_key is null or {{ b }}.artist_key is null
        or substr({{ a }}.artist_key, 1, length({{ b }}.artist_key)) = {{ b }}.artist_key
        or substr({{ b }}.artist_key, 1, length({{ a }}.artist_key)) = {{ a }}.artist_key
        or coalesce({{ a }}.track_id = {{ b }}.track_id, false)
        or coalesce({{ a }}.isrc = {{ b }}.isrc, false)
        or coalesce({{ a }}.ms_played = {{ b }}.ms_played and {{ a }}.ms_played > 0, false)
    )
{%- endmacro %}

{#
  Whether start or end (`and`: start and end) are the same, as exactly as the sources know them. The end of a play that was paused is the moment
  that an extended row states.
#}
{% macro is_exact(a, b, hub_class, operator='or') -%}
    coalesce(
        {{ a }}.starts_from <= {{ b }}.starts_until and {{ b }}.starts_from <= {{ a }}.starts_until
        {{ operator }} (
            {{ a }}.ends_from <= {{ b }}.ends_until and {{ b }}.ends_from <= {{ a }}.ends_until
            {%- if hub_class in ['live', 'extended'] %}
            {%- set extended, other = (b, a) if hub_class == 'extended' else (a, b) %}
            or {{ extended }}.source_class = 'extended'
            and {{ other }}.ends_from <= {{ dbt.dateadd('second', 1, extended ~ '.stated_at') }}
            and {{ other }}.ends_until >= {{ dbt.dateadd('second', -2, extended ~ '.stated_at') }}
            {%- endif %}
        ),
        false
    )
{%- endmacro %}

{# Until when a play was on, if an extended row comes late: an hour of a pause counts. #}
{% macro closed_at(extended) -%}
    greatest({{ extended }}.ended_at, least({{ extended }}.stated_at, {{ dbt.dateadd('hour', 1, extended ~ '.ended_at') }}))
{%- endmacro %}

{# Whether the source of `a` leaves out plays as short as `b`: scrobblers what was left within 15 s, recently-played within 30 s. #}
{% macro is_hardly_listed(a, b) -%}
    coalesce(
        {{ a }}.source_class in ('listenbrainz', 'lastfm', 'lastfm_minute') and {{ b }}.ms_played < 15000
        or {{ a }}.source_class = 'recent' and {{ b }}.ms_played < least(30000, {{ a }}.duration_ms - 2000),
        false
    )
{%- endmacro %}

{# Whether both have heard as long, to 6 s (a live play is measured by polls); null agrees. #}
{% macro lengths_agree(a, b) -%}
    coalesce(abs({{ a }}.ms_played - {{ b }}.ms_played) <= 6000, true)
{%- endmacro %}

{# Whether the times are near, or most of the shorter one lies in the other. #}
{% macro is_near(a, b, hub_class) -%}
    {%- set tolerance = tolerance_seconds(a, b) -%}
    coalesce(
        (
            {{ a }}.starts_from <= {{ dbt.dateadd('second', tolerance, b ~ '.starts_until') }}
            and {{ b }}.starts_from <= {{ dbt.dateadd('second', tolerance, a ~ '.starts_until') }}
        )
        or (
            {{ a }}.ends_from <= {{ dbt.dateadd('second', tolerance, b ~ '.ends_until') }}
            and {{ b }}.ends_from <= {{ dbt.dateadd('second', tolerance, a ~ '.ends_until') }}
        ),
        false
    )
    {%- if hub_class == 'live' %}
    or (
        {{ has_two_forms() | replace('source_class', a ~ '.source_class') }}
        and 2 * {{ dbt.datediff('greatest(' ~ a ~ '.started_at, ' ~ b ~ '.started_at)', 'least(' ~ a ~ '.ended_at, ' ~ b ~ '.ended_at)', 'second') }}
        > {{ shorter_seconds(a, b) }}
    )
    or (
        not {{ has_two_forms() | replace('source_class', a ~ '.source_class') }}
        and coalesce({{ a }}.ends_until, {{ a }}.starts_until) >= {{ dbt.dateadd('second', -5, b ~ '.started_at') }}
        and coalesce({{ a }}.ends_from, {{ a }}.starts_from) <= {{ dbt.dateadd('second', 15, b ~ '.ended_at') }}
    )
    {%- elif hub_class == 'extended' %}
    or (
        coalesce({{ a }}.ends_until, {{ a }}.starts_until) >= {{ b }}.started_at
        and coalesce({{ a }}.ends_from, {{ a }}.starts_from) <= {{ dbt.dateadd('second', 1, closed_at(b)) }}
    )
    {%- elif hub_class in ('recent', 'listenbrainz') %}
    or (
        {% if hub_class == 'listenbrainz' -%}
        {{ b }}.starts_from is null and
        {% endif -%}
        {{ a }}.starts_until >= {{ dbt.dateadd('millisecond', '-coalesce(' ~ b ~ '.duration_ms, 300000) - 30000', b ~ '.ended_at') }}
        and {{ a }}.starts_from <= {{ dbt.dateadd('second', 30, b ~ '.ended_at') }}
    )
    {%- endif %}
{%- endmacro %}

{# How far the times of one play can differ between sources: half of its length, from 5 s to a minute; half a minute where no length is known. #}
{% macro tolerance_seconds(a, b) -%}
    coalesce(least(60, greatest(5, cast({{ shorter_seconds(a, b) }} / 2 as integer))), 30)
{%- endmacro %}

{% macro shorter_seconds(a, b) -%}
    least(
        coalesce({{ length_seconds(a) }}, {{ length_seconds(b) }}),
        coalesce({{ length_seconds(b) }}, {{ length_seconds(a) }})
    )
{%- endmacro %}

{% macro length_seconds(record) -%}
    case
        when {{ record }}.source_class in ('live', 'extended', 'short') then {{ dbt.datediff(record ~ '.started_at', record ~ '.ended_at', 'second') }}
    end
{%- endmacro %}
