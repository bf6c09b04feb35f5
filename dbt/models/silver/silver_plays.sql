{{ config(materialized='table') }}

with all_plays as (
    select *, false as imported from {{ source('bronze', 'plays') }}
    union all by name
    select *, true as imported from {{ source('bronze', 'history') }} where event_type = 'play'
)

select
    event_id, user_id, played_at, played_at_basis, session_id,
    coalesce(content_type, 'track') as content_type,
    coalesce(track_id, 'name:' || md5({{ name_key('artist_name', 'track_name') }}), 'unknown') as track_id,
    track_name, artist_id, artist_name, album_id, album_name,
    duration_ms, ms_played, coalesce(ms_played, duration_ms) as heard_ms,
    md5(coalesce({{ name_key('artist_name', 'track_name') }}, track_id)) as song_key,
    coalesce(content_type, 'track') = 'track' and coalesce(ms_played is null or ms_played >= 30000
        or (duration_ms < 30000 and ms_played >= duration_ms) or (duration_ms is null and reason_end = 'trackdone'), false) as is_listen,
    reason_start, reason_end, is_skipped, is_shuffle, is_offline, is_private, context_uri, device_type, platform, country,
    source, source_ref, produced_at, '' as quality_flags, source as matched_sources,
    cast(played_at as date) as played_date, _ingested_at as processed_at
from all_plays
where user_id is not null and coalesce(duration_ms > 0, true)
qualify row_number() over (partition by event_id order by content_type is null, produced_at, _ingested_at) = 1
