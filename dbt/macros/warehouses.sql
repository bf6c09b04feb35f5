{# The expressions that differ between DuckDB and Snowflake. #}

{# Replace every match: a flag in DuckDB, the default in Snowflake. #}
{% macro regexp_all() %}{{ adapter.dispatch('regexp_all')() }}{% endmacro %}
{% macro duckdb__regexp_all() %}, 'g'{% endmacro %}
{% macro default__regexp_all() %}{% endmacro %}

{#
  A text in Unicode's normal form C. Snowflake and Spark have no such function: a name in another form differs there from the same name in
  form C.
#}
{% macro nfc(text) %}{{ adapter.dispatch('nfc')(text) }}{% endmacro %}
{% macro duckdb__nfc(text) -%}nfc_normalize({{ text }}){%- endmacro %}
{% macro default__nfc(text) -%}{{ text }}{%- endmacro %}

{# UUIDv5 of a text in the namespace of names (RFC 9562, section 5.5). #}
{% macro uuid_of_name(text) %}{{ adapter.dispatch('uuid_of_name')(text) }}{% endmacro %}
{% macro name_namespace() %}{{ return('2d6c1f0a-8f55-5a59-9d3e-7c0b4a1e6f21') }}{% endmacro %}
{% macro snowflake__uuid_of_name(text) -%}
    uuid_string('{{ name_namespace() }}', {{ text }})
{%- endmacro %}
{% macro duckdb__uuid_of_name(text) -%}
    {%- set digest = "sha1(unhex('" ~ name_namespace() | replace('-', '') ~ "') || encode(" ~ text ~ "))" -%}
    substr({{ digest }}, 1, 8) || '-' || substr({{ digest }}, 9, 4) || '-5' || substr({{ digest }}, 14, 3)
    || '-' || substr('89ab', (strpos('0123456789abcdef', substr({{ digest }}, 17, 1)) - 1) % 4 + 1, 1)
    || substr({{ digest }}, 18, 3) || '-' || substr({{ digest }}, 21, 12)
{%- endmacro %}

{# The time that a text names; null if it names none. dbt's own safe_cast is a plain cast on DuckDB, which fails then. #}
{% macro read_timestamp(text) -%}try_cast({{ text }} as timestamptz){%- endmacro %}

{# A row's columns as the text of one JSON object. #}
{% macro json_of(columns) %}{{ adapter.dispatch('json_of')(columns) }}{% endmacro %}
{% macro duckdb__json_of(columns) -%}
    cast(json_object({% for c in columns %}'{{ c }}', {{ c }}{% if not loop.last %}, {% endif %}{% endfor %}) as varchar)
{%- endmacro %}
{% macro snowflake__json_of(columns) -%}
    to_json(object_construct_keep_null({% for c in columns %}'{{ c }}', {{ c }}{% if not loop.last %}, {% endif %}{% endfor %}))
{%- endmacro %}

{# One text from a JSON document, by the names on the path to it; null if it is missing or empty, or the document is not JSON. #}
{% macro json_text(document, names) %}{{ adapter.dispatch('json_text')(document, names) }}{% endmacro %}
{% macro duckdb__json_text(document, names) -%}
    case when json_valid({{ document }}) then nullif(json_extract_string({{ document }}, '$.{{ names | join(".") }}'), '') end
{%- endmacro %}
{% macro snowflake__json_text(document, names) -%}
    nullif(cast(get_path(try_parse_json({{ document }}), '{{ names | join(".") }}') as varchar), '')
{%- endmacro %}

{# Bytes in UTF-8 as text. #}
{% macro text_of_bytes(bytes) %}{{ adapter.dispatch('text_of_bytes')(bytes) }}{% endmacro %}
{% macro duckdb__text_of_bytes(bytes) -%}decode({{ bytes }}){%- endmacro %}
{% macro snowflake__text_of_bytes(bytes) -%}to_varchar({{ bytes }}, 'utf-8'){%- endmacro %}

{# The UTC day of a timestamp, independent of the session's time zone. #}
{% macro utc_date(moment) %}{{ adapter.dispatch('utc_date')(moment) }}{% endmacro %}
{% macro duckdb__utc_date(moment) -%}cast({{ moment }} at time zone 'UTC' as date){%- endmacro %}
{% macro snowflake__utc_date(moment) -%}to_date(convert_timezone('UTC', {{ moment }})){%- endmacro %}
