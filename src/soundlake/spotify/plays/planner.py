"""When to ask about an account again: pure, from what is known of it and from what is left of the day's calls.

Spotify refused apps at 10 calls in 30 seconds and after some 500 to 2,600 calls a day; one listener at 5 s would make 17,280.
"""

from __future__ import annotations

from dataclasses import dataclass

from soundlake.spotify.plays.endings import UNBELIEVED_EMPTY_ANSWERS, find_rest
from soundlake.spotify.plays.hearing import CONTINUOUS_MS
from soundlake.spotify.plays.state import ListeningState, OpenPlay

FLOOR_MS = 5_000
_AFTER_END_MS = 1_500  # the answer is a second or two behind the change
_IDLE_STEPS = ((120_000, 15_000), (600_000, 30_000), (3_600_000, 60_000))
"""Idle for less than the first, asked again after the second."""
_PRIVATE_MS = 600_000
"""For so long a private session is followed as closely as a song: what is heard after its end counts from the first answer on."""
_IDLE_MS, _LONGEST_IDLE_MS = 120_000, 300_000
"""The first song of a session is seen unless it is shorter than the wait; as the calls run out the wait grows to the second."""
_PLENTY = 0.5


@dataclass(frozen=True)
class Pace:
    """What the budget allows: the share of the day's live calls that is left (0 to 1), and the shortest time between two polls.

    The floor is longer than 5 s where several listeners share the 30 seconds of an app.
    """

    share_left: float = 1.0
    floor_ms: int = FLOOR_MS


def plan_poll(state: ListeningState, now_ms: int, pace: Pace) -> int:
    """The time of the next poll (ms since 1970), at least the floor from now."""
    play = state.play
    if play is None or not is_followed(play):
        idle_ms = now_ms - _find_idle_since(state, now_ms)
        is_just_private = state.is_private and 0 < idle_ms < _PRIVATE_MS
        return now_ms + stretch(FLOOR_MS if is_just_private else find_idle_rhythm(idle_ms), pace, _LONGEST_IDLE_MS)
    if not play.is_settled or state.leaving is not None or play.absence is not None:
        return now_ms + pace.floor_ms  # something is to be confirmed
    rhythm = stretch(FLOOR_MS, pace, CONTINUOUS_MS)
    return max(aim_at_end(play, now_ms, now_ms + rhythm), now_ms + pace.floor_ms)


def is_followed(play: OpenPlay) -> bool:
    """Whether the play goes on as far as is known: not paused, and not gone for so many answers that it is believed."""
    return play.last.is_playing and (play.absence is None or play.absence.answers <= UNBELIEVED_EMPTY_ANSWERS)


def find_idle_rhythm(idle_ms: int) -> int:
    """The longer nothing plays, the less often it is asked."""
    return next((rhythm for idle_below, rhythm in _IDLE_STEPS if idle_ms < idle_below), _IDLE_MS)


def stretch(rhythm_ms: int, pace: Pace, longest_ms: int) -> int:
    """The rhythm while there is plenty of the day's calls; longer in proportion as they run out."""
    stretched = rhythm_ms * _PLENTY / max(pace.share_left, 1e-3) if pace.share_left < _PLENTY else rhythm_ms
    return max(pace.floor_ms, min(round(stretched), longest_ms))


def aim_at_end(play: OpenPlay, now_ms: int, at_ms: int) -> int:
    """The poll moves to just after the song's expected end if that is nearer to it than the poll after it."""
    rest = find_rest(play)
    if rest is None:
        return at_ms
    end_ms = play.last.at_ms + rest + _AFTER_END_MS
    return end_ms if now_ms < end_ms <= at_ms + (at_ms - now_ms) // 2 else at_ms


def _find_idle_since(state: ListeningState, now_ms: int) -> int:
    """Since when nothing plays; an account that is new here has just become idle."""
    if state.play is not None:
        return state.play.away_since_ms or now_ms
    return state.ended.ended_ms if state.ended is not None else now_ms
