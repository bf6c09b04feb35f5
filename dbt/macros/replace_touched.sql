{#
  Incremental strategy: delete every row whose key this build touched, then insert the rows that the model selected.
  Config: touched_key, a list of columns of the model that `touched_by` (default: play_changes, in schema silver) has too.
  Unlike delete+insert, it also deletes keys that have no row any more. Running it twice leaves the same rows.
#}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set touched = api.Relation.create(
        database=target_relation.database, schema='silver', identifier=config.get('touched_by', 'play_changes')) -%}
    delete from {{ target_relation }} as target
    where {{ matches_touched(touched, 'target', config.require('touched_key')) }};
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}

{# The condition with which an incremental model selects only touched rows; true in a full build. #}
{% macro is_touched(alias, keys, touched_by='play_changes') %}
    {%- set touched = ref(touched_by) -%}
    {%- if is_incremental() -%}{{ matches_touched(touched, alias, keys) }}{%- else -%}true{%- endif -%}
{% endmacro %}

{% macro matches_touched(touched, alias, keys) -%}
    exists (
        select 1 from {{ touched }} as touched
        where
        {%- for key in keys %}
            {% if not loop.first %}and {% endif %}touched.{{ key }} is not distinct from {{ alias }}.{{ key }}
        {%- endfor %}
    )
{%- endmacro %}
