"""When a play ended, how much was heard, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

from soundlake.spotify.plays.hearing import CONTINUOUS_MS, JITTER_MS, is_speech, is_unmeasured
from soundlake.spotify.plays.state import OpenPlay

LEFT_MS = 60_000
"""A song that is followed by another one this soon after its pause was left for it."""
UNBELIEVED_EMPTY_ANSWERS = 3
"""So many empty answers may come in the middle of a song (spotify/web-api#1536)."""
_ROUNDING_MS = 2_000
_CONTIGUOUS_MS = 5_000
_NEAR_END_MS = 15_000
_CROSSFADE_MS = 13_000  # Spotify's crossfade is 12 s at most
_STALE_MS = 15_000  # answers were 10 to 15 s late (home-assistant/core#181315)
TRACKDONE, SKIPPED, STOPPED, BEGUN_AGAIN = "trackdone", "fwdbtn", "endplay", "backbtn"


@dataclass(frozen=True)
class Ending:
    """The end of a play; `reason_end` and `is_skipped` are null where nobody saw it."""

    ended_ms: int
    heard_ms: int
    position_ms: int
    reason_end: str | None = None
    is_skipped: bool | None = None


def end_before(play: OpenPlay, next_ms: int) -> Ending:
    """The end of a play that was followed by another song or its own repeat at `next_ms`."""
    if is_unmeasured(play):
        return _end_by_clock(play, next_ms, is_left=True)
    if not play.last.is_playing:
        return _end_in_pause(play, next_ms)
    gap, rest = next_ms - play.last.at_ms, find_rest(play)
    if rest is not None and _was_played_out(play, gap, rest):
        return _finish(play, min(gap, rest))
    if play.absence is not None and next_ms > play.absence.since_ms:
        return end_in_absence(play, next_ms)
    if next_ms - play.seen_ms > CONTINUOUS_MS:
        return Ending(play.last.at_ms, play.heard_ms, play.last.position_ms)  # nothing is invented for a time without answers
    return _end_without_moving(play) if play.seen_ms - play.last.at_ms > _STALE_MS else _leave(play, gap)


def end_before_itself(play: OpenPlay, next_ms: int) -> Ending:
    """The end of a play whose song begins again at `next_ms`: on repeat, or by hand, which is no skip."""
    ending = end_before(play, next_ms)
    return ending if ending.reason_end != SKIPPED else replace(ending, reason_end=BEGUN_AGAIN, is_skipped=False)


def end_in_absence(play: OpenPlay, next_ms: int | None = None) -> Ending:
    """The end of a play that is no longer shown, between its last sighting and the first answer without it."""
    absence = play.absence
    if absence is None or not (play.last.is_playing or is_unmeasured(play)):
        return _end_in_pause(play, next_ms)
    gap, rest = absence.since_ms - play.last.at_ms, find_rest(play)
    if is_unmeasured(play):
        return _end_by_clock(play, absence.since_ms, is_left=_is_left(absence.since_ms, next_ms))
    came_to_its_end = rest is not None and gap >= rest - find_crossfade(play) and (gap <= CONTINUOUS_MS or rest <= _NEAR_END_MS)
    if rest is not None and came_to_its_end and not absence.is_private:
        return _finish(play, min(gap, rest))
    was_seen = absence.since_ms - play.seen_ms <= CONTINUOUS_MS
    heard = gap // 2 if was_seen and play.seen_ms <= play.last.at_ms else 0  # in the middle; nothing more if it did not move
    if absence.is_private or not was_seen:
        return Ending(play.last.at_ms + heard, play.heard_ms + heard, play.last.position_ms + heard)
    return _leave(play, heard) if _is_left(absence.since_ms, next_ms) else _stop(play, heard)


def end_past_its_end(play: OpenPlay) -> Ending:
    """The end of a play whose position reached its length (W05); its last sighting is past it."""
    past = play.last.position_ms - (play.song.duration_ms or play.last.position_ms)
    return Ending(play.last.at_ms - past, play.heard_ms, play.last.position_ms - past, TRACKDONE, is_skipped=False)


def is_played_out(play: OpenPlay, at_ms: int) -> bool:
    """Whether a play that is no longer shown came to its end before it vanished, or seconds after that."""
    absence, rest = play.absence, find_rest(play)
    if absence is None or absence.is_private or rest is None or not play.last.is_playing:
        return False
    expected_end = play.last.at_ms + rest
    vanished_early = expected_end - absence.since_ms
    return vanished_early <= _ROUNDING_MS or (vanished_early <= _CONTIGUOUS_MS and at_ms >= expected_end + _NEAR_END_MS)


def find_rest(play: OpenPlay) -> int | None:
    """What is left of the song after the last sighting; null if its length is not known."""
    return None if play.song.duration_ms is None else max(0, play.song.duration_ms - play.last.position_ms)


def _was_played_out(play: OpenPlay, gap: int, rest: int) -> bool:
    """Whether the song came to its end before the next one, which may fade in before."""
    absence = play.absence
    was_shown = absence is None or absence.since_ms >= play.last.at_ms + rest - _ROUNDING_MS
    if gap < rest - find_crossfade(play) or not (was_shown or (absence and absence.answers <= UNBELIEVED_EMPTY_ANSWERS)):
        return False
    if gap <= rest + _CONTIGUOUS_MS:
        return True  # the next song began just when this one had to end, also after a time without answers
    if play.repeat_state == "track" and play.song.duration_ms and (gap - rest + JITTER_MS) % play.song.duration_ms <= 2 * JITTER_MS:
        return True
    return was_shown and (gap <= CONTINUOUS_MS or rest <= _NEAR_END_MS)


def find_crossfade(play: OpenPlay) -> int:
    """How long before its end a song may be followed by the next without having been skipped."""
    return min(_CROSSFADE_MS, (play.song.duration_ms or 0) // 8)


def _is_left(since_ms: int, next_ms: int | None) -> bool:
    return next_ms is not None and next_ms - since_ms <= LEFT_MS


def _finish(play: OpenPlay, heard: int) -> Ending:
    return Ending(play.last.at_ms + heard, play.heard_ms + heard, play.last.position_ms + heard, TRACKDONE, is_skipped=False)


def _stop(play: OpenPlay, heard: int) -> Ending:
    return Ending(play.last.at_ms + heard, play.heard_ms + heard, play.last.position_ms + heard, STOPPED, is_skipped=False)


def _leave(play: OpenPlay, heard: int) -> Ending:
    """A track was skipped; an episode that is left is not: it is resumed another day (P05)."""
    if is_speech(play.song):
        return _stop(play, heard)
    return Ending(play.last.at_ms + heard, max(0, play.heard_ms + heard), play.last.position_ms + heard, SKIPPED, is_skipped=True)


def _end_in_pause(play: OpenPlay, next_ms: int | None) -> Ending:
    rest = find_rest(play)
    if rest is not None and rest <= _ROUNDING_MS:
        return _finish(play, 0)
    return _leave(play, 0) if _is_left(play.away_since_ms or play.last.at_ms, next_ms) else _stop(play, 0)


def _end_without_moving(play: OpenPlay) -> Ending:
    """It said that it plays, but did not move for longer than answers are late: it was paused, or the device was gone."""
    return _leave(play, 0) if play.seen_ms - play.last.at_ms <= LEFT_MS else _stop(play, 0)


def _end_by_clock(play: OpenPlay, moment_ms: int, *, is_left: bool) -> Ending:
    """The device reports no position: the time for which the song was shown, its length at most (W03)."""
    shown_until = moment_ms if moment_ms - play.seen_ms <= CONTINUOUS_MS else play.seen_ms
    shown = max(0, shown_until - play.last.at_ms) if play.last.is_playing else 0
    heard = play.heard_ms + shown if play.song.duration_ms is None else min(play.heard_ms + shown, play.song.duration_ms)
    more = heard - play.heard_ms
    if play.song.duration_ms is not None and heard >= play.song.duration_ms - find_crossfade(play):
        reason, is_skipped = TRACKDONE, False
    else:
        reason, is_skipped = (SKIPPED, True) if is_left else (STOPPED, False)
    return Ending(play.last.at_ms + max(0, more), heard, heard, reason, is_skipped=is_skipped)
