{{ config(
    materialized='incremental', incremental_strategy='replace_touched', touched_key=['user_id', 'track_id']
) }}

select
    user_id, track_id, min(song_key) as song_key,
    count(*) as started,
    count(case when is_listen then 1 end) as plays,
    count(case when is_listen and {{ may_feed_models('matched_sources') }} then 1 end) as model_plays,
    sum(case when is_listen then heard_ms end) as heard_ms,
    count(case when is_skipped then 1 end) as skipped,
    count(is_skipped) as skip_known,
    min(played_at) as first_played_at,
    max(played_at) as last_played_at
from {{ ref('silver_plays') }} as plays
where {{ is_touched('plays', ['user_id', 'track_id']) }}
group by user_id, track_id
