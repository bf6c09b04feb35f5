{#
  A closed play's silver row follows from the play alone: nothing else tells of it, its ids are known, and it names no show.
  The generator's plays are such; all others wait in open_plays for what else is said of them.
#}
{% macro is_closed() -%}
    coalesce(source = 'generator' and track_id <> '' and content_type in ('track', 'chapter'), false)
{%- endmacro %}

{# Whether a play counts as a listen. #}
{% macro is_listen(content_type) -%}
    coalesce(
        {{ content_type }} = 'track'
        and (
            ms_played is null
            or ms_played >= 30000
            or (duration_ms < 30000 and ms_played >= duration_ms)
            or (duration_ms is null and reason_end = 'trackdone')
        ),
        false
    )
{%- endmacro %}

{# What gold must know of a play that was put in or taken out: every column that one of its keys is made of. #}
{% macro play_change_columns() %}
    {{ return([
        'event_id', 'user_id', 'played_at', 'played_date', 'content_type', 'track_id', 'track_name', 'artist_id', 'artist_name',
        'song_key', 'device_type', 'source', 'is_listen',
    ]) }}
{% endmacro %}

{# The fields that a play keeps in silver as they are; of several observations the best one's that knows it. #}
{% macro told_columns() %}
    {{ return([
        'session_id', 'content_type', 'track_id', 'track_name', 'artist_id', 'artist_name', 'album_id', 'album_name', 'duration_ms',
        'ms_played', 'reason_start', 'reason_end', 'is_skipped', 'is_shuffle', 'is_offline', 'is_private', 'context_uri',
        'device_type', 'platform', 'country',
    ]) }}
{% endmacro %}

{# A field of the best observation of a play that knows it; a text of which nothing is left in its normal form is taken last. #}
{% macro best_told(column) -%}
    {%- set best_first = 'over (partition by play_id order by priority ' ~ whole_partition() ~ ')' -%}
    {%- if column in contract_forms() -%}
    coalesce(
        first_value(case when {{ normal_form(column) }} is not null then {{ column }} end ignore nulls) {{ best_first }},
        first_value({{ column }} ignore nulls) {{ best_first }}
    )
    {%- else -%}
    first_value({{ column }} ignore nulls) {{ best_first }}
    {%- endif -%}
{%- endmacro %}

{# How well a basis of played_at is known, the best first. #}
{% macro basis_rank() -%}
    case played_at_basis when 'measured' then 1 when 'derived_from_end' then 2 else 3 end
{%- endmacro %}

{% macro whole_partition() -%}
    rows between unbounded preceding and unbounded following
{%- endmacro %}

{# The show that a row of an export names, in either of its forms; the row, or what was kept of it, is JSON. #}
{% macro show_of_export_row(export_row) -%}
    coalesce({{ json_text(export_row, ['episode_show_name']) }}, {{ json_text(export_row, ['podcastName']) }})
{%- endmacro %}

{# Whether the source says what kind of content it was, in a word that we know. #}
{% macro says_content_type() -%}
    content_type in ('track', 'episode', 'chapter')
{%- endmacro %}

{# Nobody hears one play for longer than a day: what a source claims beyond is flagged (heard_within_a_day) and not summed. #}
{% macro day_ms() %}{{ return(86400000) }}{% endmacro %}
