{# A name for comparison: NFC, lower case, single spaces, none at the ends; null if nothing is left. #}
{% macro normalize_name(name) -%}
    nullif(trim(regexp_replace(lower({{ nfc(name) }}), '[[:space:]]+', ' '{{ regexp_all() }})), '')
{%- endmacro %}

{#
  A name for the match of observations. Sources differ in punctuation, in HTML entities, and in notes on the release (remastered, featured
  artists); such differences are removed. A name of nothing else keeps its normal form.
#}
{% macro match_name(name) -%}
    {%- set text = normalize_name(name) -%}
    {%- set text = "regexp_replace(" ~ text ~ ", '&(amp;)*(amp|quot|lt|gt|#0*39|#x27);', ''" ~ regexp_all() ~ ")" -%}
    {%- set text = "regexp_replace(" ~ text ~ ", ' [-([]+ *(feat|ft|with)[. ].*$', '')" -%}
    {%- set text = "regexp_replace(" ~ text ~ ", ' [-([]+ *([0-9]{4} )?(digital )?remaster(ed)?( version)?( [0-9]{4})?[])]?$', '')" -%}
    coalesce(
        nullif(regexp_replace({{ text }}, '[-[:space:][:punct:]‘’“”„…–—·´]+', ''{{ regexp_all() }}), ''),
        {{ normalize_name(name) }}
    )
{%- endmacro %}

{# Artist and title as one text for comparison, with a unit separator between them; null unless both are known. #}
{% macro name_key(artist_name, track_name) -%}
    {{ normalize_name(artist_name) }} || chr(31) || {{ normalize_name(track_name) }}
{%- endmacro %}

{# The id of a track without an id of its own: a UUIDv5 of artist and title. #}
{% macro id_of_names(artist_name, track_name) -%}
    'name:' || {{ uuid_of_name(
        "coalesce(" ~ normalize_name(artist_name) ~ ", '') || chr(31) || coalesce(" ~ normalize_name(track_name) ~ ", '')") }}
{%- endmacro %}

{# A column in its normal form, if it has one; contract_normal_forms() is generated from soundlake.contract.expressions. #}
{% macro normal_form(column) -%}
    {{ contract_normal_forms().get(column, column) }}
{%- endmacro %}

{# A list of columns for a select, each in its normal form if it has one. #}
{% macro normal_columns(columns) -%}
    {%- for column in columns %}
    {% if column in contract_normal_forms() %}{{ normal_form(column) }} as {% endif %}{{ column }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
