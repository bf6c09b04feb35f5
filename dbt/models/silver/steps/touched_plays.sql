{%- if is_incremental_build() %}

select event_id from {{ ref('touched_events') }}
union
select event_id from {{ ref('matched_plays') }}

{%- else %}

select cast(null as varchar) as event_id
where false

{%- endif %}
