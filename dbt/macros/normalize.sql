{# A name as it is compared: lower case, single spaces, none at the ends. Null where nothing is left. #}
{% macro normalize_name(name) -%}
    nullif(trim(regexp_replace(lower({{ name }}), '[[:space:]]+', ' '{{ regexp_all() }})), '')
{%- endmacro %}

{# Replace every match: a flag in DuckDB, the default in Snowflake. #}
{% macro regexp_all() %}{{ adapter.dispatch('regexp_all')() }}{% endmacro %}
{% macro default__regexp_all() %}{% endmacro %}
{% macro duckdb__regexp_all() %}, 'g'{% endmacro %}

{# Artist and title as one compared text; null unless both are known. Unit separator between them: no name holds it. #}
{% macro name_key(artist_name, track_name) -%}
    {{ normalize_name(artist_name) }} || chr(31) || {{ normalize_name(track_name) }}
{%- endmacro %}
