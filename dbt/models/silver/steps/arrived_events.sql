{#
  An incremental build reads the new rows of bronze once, here, because opening a table of thousands of files costs more than reading its
  few new rows. A full build reads bronze directly, because copying everything costs more than reading it several times.
#}
{% set columns = event_columns() + ['_ingested_at', '_broker', '_topic', '_partition', '_offset'] %}

select * from (
    {%- for table in ['plays', 'skips', 'likes', 'playlists', 'now_playing', 'history'] %}
    select {{ columns | join(', ') }}
    from {{ source('bronze', table) }}
    where {{ bronze_window(table) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
) as arrived
{%- if not is_incremental_build() %}
where false
{%- endif %}
