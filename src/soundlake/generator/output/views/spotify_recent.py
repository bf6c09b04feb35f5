"""Spotify's recently-played list, as a poller sends it: what was listened to its end, with a stamp of uncertain meaning."""

from __future__ import annotations

from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.view import EventsView

_ROWS = r"""
with seen as (
    select * from plays
    where not is_private and not lost and ms_played >= 30000 and (reason_end = 'trackdone' or not omitted)
),
stamped as (
    select
        *,
        case
            when stamped_start then started_ms
            when pause_begin_ms > started_ms and stamped_inside
                then pause_begin_ms + cast(stamped_inside_draw * (ended_ms - pause_begin_ms) as bigint)
            else ended_ms + cast(999 * delay_draw as bigint)
        end as stamp_ms
    from seen
    union all by name
    select *, pause_begin_ms as stamp_ms from seen where listed_twice and pause_begin_ms > started_ms
),
named as (
    select
        * exclude (track_id, track_name), case when relinked then track_id || 'r' else track_id end as track_id,
        case when relinked then regexp_replace(track_name, ' - (.*)$', ' (\1)') else track_name end as track_name
    from stamped
)
select
    play_id, user_id, cast(null as varchar) as event_id, 'spotify_recent' as source, epoch_ms(stamp_ms) as stamp, artist_name,
    track_name, track_id, cast(null as bigint) as ms_played, stamp_ms as place,
    to_json([user_id, track_id, stamp_ms::varchar])::varchar as key,
    epoch_ms(stamp_ms) as played_at, 'reported' as played_at_basis, artist_id, album_id, album_name, duration_ms, context_uri,
    epoch_ms(greatest(stamp_ms, case when is_offline then stored_ms else 0 end) + 600000) as produced_at
from named
"""


class SpotifyRecent(EventsView):
    """Events of source spotify_recent; the id is made of account, track and stamp."""

    faults = (
        SourceFault("omitted", 0.6, "a track left before its end is mostly missing, even after a minute", "spotify/web-api#954"),
        SourceFault("lost", 0.01, "a day is missing: more than fifty plays between two fetches", "spotify/web-api#1405", "user_day"),
        SourceFault("stamped_start", 0.12, "the stamp is the start", "spotify/web-api#613", "session_id"),
        SourceFault("stamped_inside", 0.4, "after a pause the stamp is anywhere from the pause to the end", "FoxxMD/multi-scrobbler#710"),
        SourceFault("listed_twice", 0.3, "a resumed track is listed at its pause too", "FoxxMD/multi-scrobbler#652"),
        SourceFault("relinked", 0.03, "another id of the track, its version in brackets", "spotify/web-api#1232", "track_id"),
        SourceFault("delay", 1.0, "the stamp is up to a second after the end", "spotify/web-api#1083"),
    )

    def select(self) -> str:
        """One row a play, a second one for a resumed track."""
        return _ROWS
