{#
  The rows of a bronze table that a build reads. Before the first model, soundlake.warehouse fixes the window (low, high) of each table in
  raw.bronze_windows. Here it becomes two literals, so the statistics of the Delta log skip every file outside the window.
#}
{% macro bronze_window(table) -%}
    {%- if is_incremental_build() -%}_batch > {{ read_window(table)[0] }} and {% endif -%}
    {{ bronze_upper_bound(table) }}
{%- endmacro %}

{# Old and new rows, up to the upper end of the window. #}
{% macro bronze_upper_bound(table) -%}
    _batch <= {{ read_window(table)[1] }}
{%- endmacro %}

{% macro read_window(table) %}
    {%- if not execute -%}{{ return([0, 0]) }}{%- endif -%}
    {%- set rows = run_query("select low_batch, high_batch from raw.bronze_windows where table_name = '" ~ table ~ "'").rows -%}
    {%- if rows | length == 0 -%}
        {{ exceptions.raise_compiler_error("bronze/" ~ table ~ " has no window: run `soundlake transform` once before running dbt by hand") }}
    {%- endif -%}
    {{ return([rows[0][0], rows[0][1]]) }}
{% endmacro %}

{# False in the first build and in a full refresh. True while dbt parses, so that it finds the references in incremental branches. #}
{% macro is_incremental_build() %}
    {%- if not execute -%}{{ return(true) }}{%- endif -%}
    {%- if flags.FULL_REFRESH -%}{{ return(false) }}{%- endif -%}
    {{ return(load_relation(previous_build('silver_plays')) is not none) }}
{% endmacro %}

{# A silver table as the previous build left it, for models that run before that table is built: ref() would be a cycle. #}
{% macro previous_build(name) %}
    {{ return(api.Relation.create(database=target.database, schema='silver', identifier=name)) }}
{% endmacro %}

{# The new rows of some types: in an incremental build from arrived_events, in a full build directly from bronze. #}
{% macro new_rows(columns, tables, condition) %}
    {%- set arrived = ref('arrived_events') -%}
    {%- if is_incremental_build() %}
    select {{ columns | join(', ') }}
    from {{ arrived }}
    where {{ condition }}
    {%- else %}
    {{- all_rows(columns, tables, condition) }}
    {%- endif %}
{% endmacro %}

{# Old and new rows of several bronze tables. history holds every type, so the condition selects from it. #}
{% macro all_rows(columns, tables, condition) %}
    {%- for table in tables %}
    select {{ columns | join(', ') }}
    from {{ source('bronze', table) }}
    where {{ bronze_upper_bound(table) }}{% if table == 'history' %} and {{ condition }}{% endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endmacro %}

{# Whether a table of this build has no row: a join with it can be skipped without opening the other table. #}
{% macro is_empty(relation) %}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {{ return(run_query('select count(*) from ' ~ relation).rows[0][0] == 0) }}
{% endmacro %}

{# Each new event of one type, once: rows with a unique event_id, and for duplicated ids the chosen copy. #}
{% macro new_events(event_type, table) %}
    {%- set columns = event_columns() + ['_ingested_at'] %}
    select {{ columns | join(', ') }}
    from (
        {{ new_rows(columns, [table, 'history'], "event_type = '" ~ event_type ~ "'") }}
    ) as arrived
    where not exists (select 1 from {{ ref('duplicated_event_ids') }} as duplicated where duplicated.event_id = arrived.event_id)
    union all
    select {{ columns | join(', ') }}
    from {{ ref('deduplicated_events') }}
    where event_type = '{{ event_type }}'
{% endmacro %}

{#
  The earliest _ingested_at of the rows that this build writes to silver_plays. New rows are at the end of the table, so a filter by it
  skips the row groups before them.
#}
{% macro first_ingested_at() %}
    {%- set ingested -%}
        select cast(min(_ingested_at) as varchar) from (
            select _ingested_at from {{ ref('arrived_events') }}
            union all
            select _ingested_at from {{ ref('deduplicated_events') }}
            union all
            select observations._ingested_at
            from {{ ref('play_observations') }} as observations
            inner join {{ ref('matched_plays') }} as matched_plays on observations.event_id = matched_plays.event_id
        ) as ingested
    {%- endset -%}
    {%- set moment = run_query(ingested).rows[0][0] if execute and is_incremental_build() else none -%}
    cast('{{ moment or '1970-01-01 00:00:00+00' }}' as timestamptz)
{%- endmacro %}
