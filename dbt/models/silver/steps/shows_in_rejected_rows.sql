{{ config(materialized='incremental', incremental_strategy='append') }}

{#
  A rejected row of an export can name a show. Then the rows of that show in the short format are episodes. Rejected rows of an import are
  stored wrapped (soundlake.contract.refused_rows), with the reason of the import.
#}
{% set window = read_window('rejected') %}

with rejected as (
    select {{ text_of_bytes('value') }} as record, _batch
    from {{ source('bronze', 'rejected') }}
    where
        {{ bronze_window('rejected') }}
        and _topic = 'user_history'
        and reason in ('names_nothing', 'bad_ms_played', 'bad_ts', 'bad_end_time', 'played_at_out_of_range')
        {%- if is_incremental() and window[0] == window[1] %}
        and false
        {%- endif %}
),

unwrapped as (
    select {{ json_text('record', ['_refused', 'user_id']) }} as user_id, {{ json_text('record', ['_refused', 'row']) }} as export_row, _batch
    from rejected
),

named as (
    select user_id, {{ show_of_export_row('export_row') }} as artist_name, _batch
    from unwrapped
    where user_id is not null
)

select user_id, artist_name, min(_batch) as first_batch
from named
where
    artist_name is not null
    {%- if is_incremental() %}
    and not exists (
        select 1 from {{ this }} as known where known.user_id = named.user_id and known.artist_name = named.artist_name
    )
    {%- endif %}
group by user_id, artist_name
