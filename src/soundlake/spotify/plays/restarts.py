"""When the same song has begun again."""

from __future__ import annotations

from soundlake.spotify.plays.endings import find_crossfade, find_rest
from soundlake.spotify.plays.hearing import JITTER_MS, is_unmeasured
from soundlake.spotify.plays.state import OpenPlay, Sighting

FORGOTTEN_MS = 12 * 3_600_000
"""A song that was paused for longer is a new play when it is resumed: a night is within it."""
_NEAR_END_MS = 10_000
_LONG_PAUSE_MS = 600_000
_BEGINNING_MS = 30_000


def is_restart(play: OpenPlay, now: Sighting) -> bool:
    """Whether the song plays again from its beginning; a seek back inside it is not that (W10)."""
    if not now.is_playing or is_unmeasured(play) or now.position_ms >= play.last.position_ms - JITTER_MS:
        return False
    return _came_to_its_end_before(play, now) or _began_after_a_long_pause(play, now)


def _came_to_its_end_before(play: OpenPlay, now: Sighting) -> bool:
    """There was time for the rest of the song and then for this position: on repeat, at any rhythm of the answers (R01).

    A repeat may fade in before the end; from near the end the song may be begun again by hand (W11).
    """
    rest, duration = find_rest(play), play.song.duration_ms
    if rest is None or duration is None or now.clock_ms < play.last.at_ms - JITTER_MS:
        return False
    rest_then = rest - (now.clock_ms - play.last.at_ms if play.last.is_playing else 0)
    return rest <= min(_NEAR_END_MS, duration // 4) or rest_then <= max(JITTER_MS, find_crossfade(play))


def _began_after_a_long_pause(play: OpenPlay, now: Sighting) -> bool:
    """Nobody seeks back to the beginning of what was paused long ago: it is chosen again."""
    if play.away_since_ms is None or now.at_ms - play.away_since_ms < _LONG_PAUSE_MS:
        return False
    return now.position_ms <= _BEGINNING_MS and now.clock_ms >= play.away_since_ms
