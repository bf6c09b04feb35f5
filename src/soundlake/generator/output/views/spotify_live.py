"""What a live poller measures: starts to about a second, milliseconds to a poll, nothing while it is down."""

from __future__ import annotations

from soundlake.generator.output.views.source_faults import SourceFault
from soundlake.generator.output.views.view import EventsView

_POLL_MS = 5_000


class SpotifyLive(EventsView):
    """Events of source spotify_live: an interval with a measured start; `ended_at` (unknown to the contract) is its end with pauses."""

    faults = (
        SourceFault("down", 0.04, "the poller is down for a day", "FoxxMD/multi-scrobbler#65", "user_day"),
        SourceFault("between_polls", 1.0, "a play shorter than the 5 s between polls is seen by chance", "FoxxMD/multi-scrobbler#108"),
        SourceFault("phase", 1.0, "the start is measured to about a second, the milliseconds to a poll", "FoxxMD/multi-scrobbler#108"),
        SourceFault("two_pollers", 0.02, "two pollers on one account", "web-scrobbler/web-scrobbler#2723", "user_id"),
        SourceFault("restarted", 0.003, "the poller restarts in the middle and begins the play again", "FoxxMD/multi-scrobbler#254"),
    )

    def select(self) -> str:
        """One row a play, a second one after a restart or by a second poller."""
        return f"""
            with seen as (
                select * from plays where not is_private and not is_offline and not down and ms_played > {_POLL_MS} * between_polls_draw
            ),
            measured as (
                select *, 0 as poller, started_ms + cast(1500 * phase_draw as bigint) - 500 as measured_ms from seen
                union all by name
                select *, 1 as poller, started_ms + cast(1500 * two_pollers_draw as bigint) - 500 as measured_ms
                from seen where two_pollers or restarted
            ),
            heard as (
                select
                    * exclude (ms_played),
                    greatest(0, least(ms_played + cast(2000 * phase_draw as bigint) - 1500 + 700 * poller, duration_ms)) as ms_played
                from measured
            )
            select
                play_id, user_id, cast(null as varchar) as event_id, play_id || poller as key, 'spotify_live' as source,
                epoch_ms(measured_ms) as stamp,
                artist_name, track_name, track_id, ms_played, measured_ms as place,
                epoch_ms(measured_ms) as played_at, 'measured' as played_at_basis, artist_id, album_id, album_name, duration_ms,
                is_skipped, is_shuffle, is_offline, is_private, context_uri, device_type, platform,
                epoch_ms(ended_ms + {_POLL_MS}) as produced_at,
                to_json({{'ended_at': strftime(epoch_ms(ended_ms), '%Y-%m-%dT%H:%M:%S.%gZ')}})::varchar as extra
            from heard
        """  # noqa: S608  # constants of this file
