{# A name as it is compared: lower case, single spaces, none at the ends. Null where nothing is left. #}
{% macro normalize_name(name) -%}
    nullif(trim(regexp_replace(lower({{ name }}), '[[:space:]]+', ' '{{ regexp_all() }})), '')
{%- endmacro %}

{# Artist and title as one compared text, null unless both are known; a unit separator between them, since no name holds it. #}
{% macro name_key(artist_name, track_name) -%}
    {{ normalize_name(artist_name) }} || chr(31) || {{ normalize_name(track_name) }}
{%- endmacro %}

{# The id of a track that no source gives an id: of its names, as far as they are known. #}
{% macro id_of_names(artist_name, track_name) -%}
    'name:' || {{ uuid_of_name(
        "coalesce(" ~ normalize_name(artist_name) ~ ", '') || chr(31) || coalesce(" ~ normalize_name(track_name) ~ ", '')") }}
{%- endmacro %}

{# A column in the contract's normal form, if it has one; contract_forms() is generated from soundlake.contract.expressions. #}
{% macro normal_form(column) -%}
    {{ contract_forms().get(column, column) }}
{%- endmacro %}

{# Columns for a select, those in their normal form that have one. #}
{% macro normal_columns(columns) -%}
    {%- for column in columns %}
    {% if column in contract_forms() %}{{ normal_form(column) }} as {% endif %}{{ column }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
