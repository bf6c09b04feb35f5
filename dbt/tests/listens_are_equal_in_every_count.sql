-- The number of listens is the same by listener and day, by track, by device, by hour and by session.
with totals as (
    select
        (select sum(total_plays) from {{ ref('user_daily_listening') }}) as by_listener,
        (select sum(play_count) from {{ ref('track_popularity') }}) as by_track,
        (select sum(plays) from {{ ref('device_usage') }}) as by_device,
        (select sum(plays) from {{ ref('hourly_activity') }}) as by_hour,
        (select sum(plays) from {{ ref('listening_sessions') }}) as by_session
)

select *
from totals
where not (by_listener = by_track and by_track = by_device and by_device = by_hour and by_hour = by_session)
