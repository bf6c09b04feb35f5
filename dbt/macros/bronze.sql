{#
  What a build reads of bronze. The runner fixes the window of each table (low, high) once, before the first model, in
  raw.bronze_windows; here it becomes two literals, so that the tables' statistics skip every file outside of it.
#}
{% macro bronze_window(table) -%}
    {%- if is_incremental_build() -%}_batch > {{ read_window(table)[0] }} and {% endif -%}
    {{ bronze_horizon(table) }}
{%- endmacro %}

{# Everything that this build may know: up to the same upper end, old and new. #}
{% macro bronze_horizon(table) -%}
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

{# False in the first build and in a full refresh. True while dbt parses, so that it sees what incremental branches refer to. #}
{% macro is_incremental_build() %}
    {%- if not execute -%}{{ return(true) }}{%- endif -%}
    {%- if flags.FULL_REFRESH -%}{{ return(false) }}{%- endif -%}
    {{ return(load_relation(as_built('silver_plays')) is not none) }}
{% endmacro %}

{# A silver table as the builds before left it: for models that run before the table itself is built, where ref would be a circle. #}
{% macro as_built(name) %}
    {{ return(api.Relation.create(database=target.database, schema='silver', identifier=name)) }}
{% endmacro %}

{# The new rows of some types: in an incremental build read once into arrived_events, in a full one in place. #}
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

{# All rows that this build may know, of several bronze tables; what is imported holds every type, so the condition picks from it. #}
{% macro all_rows(columns, tables, condition) %}
    {%- for table in tables %}
    select {{ columns | join(', ') }}
    from {{ source('bronze', table) }}
    where {{ bronze_horizon(table) }}{% if table == 'history' %} and {{ condition }}{% endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endmacro %}

{# Whether a table that this build made has no row: then what would be joined with it need not even be opened. #}
{% macro is_empty(relation) %}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {{ return(run_query('select count(*) from ' ~ relation).rows[0][0] == 0) }}
{% endmacro %}

{# Each new event of one type once: rows whose event_id stands alone as they are, of the others the one that was chosen. #}
{% macro new_events(event_type, table) %}
    {%- set columns = event_columns() + ['_ingested_at'] %}
    select {{ columns | join(', ') }}
    from (
        {{ new_rows(columns, [table, 'history'], "event_type = '" ~ event_type ~ "'") }}
    ) as arrived
    where not exists (select 1 from {{ ref('contested_events') }} as contested where contested.event_id = arrived.event_id)
    union all
    select {{ columns | join(', ') }}
    from {{ ref('repeated_events') }}
    where event_type = '{{ event_type }}'
{% endmacro %}

{#
  Nothing that this build puts into silver_plays was taken in before this moment. New rows stand together at a table's end, so that the
  statistics of what stands before them skip it.
#}
{% macro first_processed() %}
    {%- set taken_in -%}
        select cast(min(_ingested_at) as varchar) from (
            select _ingested_at from {{ ref('arrived_events') }}
            union all
            select _ingested_at from {{ ref('repeated_events') }}
            union all
            select open_plays._ingested_at
            from {{ ref('open_plays') }} as open_plays
            inner join {{ ref('decided_plays') }} as decided_plays on open_plays.event_id = decided_plays.event_id
        ) as taken_in
    {%- endset -%}
    {%- set moment = run_query(taken_in).rows[0][0] if execute and is_incremental_build() else none -%}
    cast('{{ moment or '1970-01-01 00:00:00+00' }}' as timestamptz)
{%- endmacro %}
