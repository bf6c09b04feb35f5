"""When the same song has begun again."""

from __future__ import annotations

from soundlake.spotify.plays.endings import find_crossfade, find_rest
from soundlake.spotify.plays.hearing import JITTER_MS, is_speech, is_unmeasured, take_sighting
from soundlake.spotify.plays.leftovers import is_on_clock
from soundlake.spotify.plays.state import OpenPlay, Sighting

FORGOTTEN_MS = 12 * 3_600_000
"""A song that was paused for longer is a new play when it is resumed: a night is within it."""
_NEAR_END_MS = 10_000
_LONG_PAUSE_MS = 600_000
_BEGINNING_MS = 30_000
_HEARD_MS = 30_000
_JUST_BEGUN_MS = 10_000
_ROUNDING_MS = 1_000


def is_restart(play: OpenPlay, now: Sighting) -> bool:
    """Whether the song plays again from its beginning; a seek back inside it is not that (W10)."""
    if not now.is_playing or is_unmeasured(play) or now.position_ms >= play.last.position_ms - JITTER_MS:
        return False
    return _came_to_its_end_before(play, now) or _began_after_a_long_pause(play, now)


def may_have_begun_again(play: OpenPlay, now: Sighting) -> bool:
    """Whether the song seems to have begun again since the last answer, before its end: the next answer decides.

    In real exports 0.3 to 0.9 % of the plays are left and begun again within 10 seconds, each a row of its own. A seek back that happens to
    end in the first seconds is less frequent by far.
    """
    last = play.last
    heard_ms, begun_ms = (_HEARD_MS, _JUST_BEGUN_MS) if last.is_playing else (0, _BEGINNING_MS)  # few seek while it is paused
    if is_unmeasured(play) or is_speech(play.song) or not now.is_playing or now.position_ms > last.position_ms - JITTER_MS:
        return False
    if min(play.heard_ms, last.position_ms) < heard_ms:  # the old song's clock on a new song goes back too (W07)
        return False
    return now.position_ms <= begun_ms and now.clock_ms >= last.at_ms - _ROUNDING_MS


def has_begun_again(play: OpenPlay, now: Sighting) -> bool:
    """Whether an answer confirms the one before, and goes on from the beginning."""
    again = play.begun_again
    return again is not None and now.position_ms > again.position_ms and is_on_clock(play.song, again, now)


def decide_beginning(play: OpenPlay, now: Sighting | None = None) -> None:
    """Take an answer near the beginning that `now` does not confirm: a seek back, or wrong if the song goes on as before."""
    again, play.begun_again = play.begun_again, None
    if again is not None and not (now is not None and is_on_clock(play.song, play.last, now)):
        take_sighting(play, again)


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
