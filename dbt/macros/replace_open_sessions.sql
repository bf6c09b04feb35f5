{#
  Incremental strategy of listening_sessions: delete the sessions of a listener that were still open at the first touched play, and all later
  ones, then insert those that the model selected. No touched play can belong to an earlier session.
#}
{% macro get_incremental_replace_open_sessions_sql(arg_dict) %}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set touched = api.Relation.create(database=target_relation.database, schema='silver', identifier='touched_listeners') -%}
    delete from {{ target_relation }} as target
    where exists (
        select 1 from {{ touched }} as touched
        where touched.user_id = target.user_id and target.open_until >= touched.first_touched_at
    );
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}
