{#
  Whether the silver row of a play depends on this event alone: no other source observes the play, its id is known, and it is no episode.
  This holds for complete plays of the generator. All others go to play_observations, where they are matched with other observations.
#}
{% macro is_self_contained() -%}
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

{# The columns that gold needs of a play that was inserted or deleted: every column that is part of a key in gold. #}
{% macro play_change_columns() %}
    {{ return([
        'event_id', 'user_id', 'played_at', 'played_date', 'content_type', 'track_id', 'track_name', 'artist_id', 'artist_name',
        'song_key', 'device_type', 'source', 'is_listen',
    ]) }}
{% endmacro %}

{#
  The value of a field from the best observation that knows it. A text whose normal form is null is taken only if there is no other, and the
  milliseconds of a part of a play only if no observation has those of the whole.
#}
{% macro best_value(column) -%}
    {%- set best_first = 'over (partition by play_id order by rank_in_play ' ~ whole_partition() ~ ')' -%}
    {%- if column == 'ms_played' -%}
    coalesce(
        first_value(case when is_part = 0 then ms_played end ignore nulls) {{ best_first }},
        first_value(ms_played ignore nulls) {{ best_first }}
    )
    {%- elif column in contract_normal_forms() -%}
    coalesce(
        first_value(case when {{ normal_form(column) }} is not null then {{ column }} end ignore nulls) {{ best_first }},
        first_value({{ column }} ignore nulls) {{ best_first }}
    )
    {%- else -%}
    first_value({{ column }} ignore nulls) {{ best_first }}
    {%- endif -%}
{%- endmacro %}

{# Rank of played_at_basis, the best first. #}
{% macro basis_rank() -%}
    case played_at_basis when 'measured' then 1 when 'derived_from_end' then 2 else 3 end
{%- endmacro %}

{% macro whole_partition() -%}
    rows between unbounded preceding and unbounded following
{%- endmacro %}

{# The show that a row of an export names, in either of its formats; the row is JSON. #}
{% macro show_of_export_row(export_row) -%}
    coalesce({{ json_text(export_row, ['episode_show_name']) }}, {{ json_text(export_row, ['podcastName']) }})
{%- endmacro %}

{# Whether content_type is one of the known values. #}
{% macro has_known_content_type() -%}
    content_type in ('track', 'episode', 'chapter')
{%- endmacro %}

{# The most that counts as heard in one play: a day. A longer time is flagged (heard_within_a_day) and not summed. #}
{% macro day_ms() %}{{ return(86400000) }}{% endmacro %}

{#
  Whether a play may feed similarities and recommendations: not if only Spotify's Web API reported it, whose terms forbid to train on it.
  `sources` is the list of matched sources. The setting SPOTIFY_FEEDS_MODELS lifts the rule.
#}
{% macro may_feed_models(sources) -%}
    {%- if env_var('SOUNDLAKE_DBT_MODELS_FROM_SPOTIFY_API', 'false') == 'true' -%}
    true
    {%- else -%}
    coalesce(replace(replace(replace({{ sources }}, 'spotify_live', ''), 'spotify_recent', ''), ',', '') <> '', true)
    {%- endif -%}
{%- endmacro %}
