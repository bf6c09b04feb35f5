"""When a play started that an answer shows for the first time."""

from __future__ import annotations

from dataclasses import dataclass

from soundlake.spotify.plays.endings import UNBELIEVED_EMPTY_ANSWERS, find_rest
from soundlake.spotify.plays.hearing import CONTINUOUS_MS, is_speech
from soundlake.spotify.plays.songs import Song, is_same_song
from soundlake.spotify.plays.state import ListeningState, OpenPlay, Sighting

UNSETTLED_MS = 30_000
"""For how long a start may be corrected: a new song had the old one's clock for 10 to 15 s (home-assistant/core#181315)."""
_ROUNDING_MS = 2_000
_STALE_MS = 20_000
_CONTIGUOUS_MS = 5_000


@dataclass(frozen=True)
class Start:
    """A start and what was heard since; `earliest_ms` and `is_settled` as in OpenPlay."""

    started_ms: int
    heard_ms: int
    earliest_ms: int | None
    is_settled: bool = True


def find_start(state: ListeningState, song: Song, now: Sighting) -> Start | None:
    """The start of a song that was not shown before; None if nothing of it was heard: it is paused."""
    earliest = find_earliest(state, now)
    if not now.is_playing:
        return _start_before_pause(now, earliest)
    if state.is_private or (earliest is None and is_speech(song) and now.position_ms > CONTINUOUS_MS):
        return Start(now.at_ms, 0, earliest)  # nothing of the private time (P08); an episode that is first seen is mostly resumed
    if state.idle is not None and is_same_song(state.idle.song, song) and now.position_ms >= state.idle.last.position_ms:
        return _start_at_resume(state.idle.last, now)
    if earliest is None or earliest - _ROUNDING_MS <= now.clock_ms:
        started = now.clock_ms if earliest is None else max(now.clock_ms, earliest)  # W01
        return Start(started, now.at_ms - started, earliest, is_settled=now.position_ms > 0 or earliest is None)
    if old_answers_were_stale(state, now):
        return Start(now.clock_ms, now.position_ms, now.clock_ms)
    middle = (earliest + now.at_ms) // 2
    return Start(middle, now.at_ms - middle, earliest, is_settled=False)  # the old song's clock (W07), or resumed inside


def find_earliest(state: ListeningState, now: Sighting) -> int | None:
    """The newest moment at which something else was seen; null if nothing is known.

    A few empty answers are no such moment (M06: "its first minute is lost"), nor are any where the song began as the one before ended.
    """
    if state.empty_answers > UNBELIEVED_EMPTY_ANSWERS or state.is_private:
        return state.last_answer_ms
    before, rest = state.play, find_rest(state.play) if state.play else None
    if before is not None and rest is not None and before.last.is_playing:
        if abs(now.clock_ms - (before.last.at_ms + rest)) <= _CONTIGUOUS_MS:
            return before.last.at_ms
    elif before is None and state.ended is not None and abs(now.clock_ms - state.ended.ended_ms) <= _CONTIGUOUS_MS:
        return state.ended.ended_ms
    return (state.last_shown_ms if state.empty_answers else None) or state.last_answer_ms


def settle_start(play: OpenPlay, now: Sighting) -> bool:
    """Correct the start of an unsettled play if this answer gives a believable one; whether it did (W07)."""
    if not now.is_playing or play.earliest_ms is None or now.clock_ms < play.earliest_ms - _ROUNDING_MS or now.position_ms == 0:
        return False
    play.started_ms = max(now.clock_ms, play.earliest_ms)
    play.heard_ms = now.at_ms - play.started_ms
    play.last, play.seen_ms, play.has_moved, play.is_settled = now, now.at_ms, True, True
    return True


def old_answers_were_stale(state: ListeningState, now: Sighting) -> bool:
    """Whether the last answers still showed the song before, although this one had begun a few seconds ago already."""
    before = state.play
    if before is None or before.absence is not None or now.position_ms > _STALE_MS:
        return False
    return before.seen_ms - now.clock_ms <= _STALE_MS and now.clock_ms > before.first_seen_ms


def _start_before_pause(now: Sighting, earliest: int | None) -> Start | None:
    """A song that is paused when first seen was played since the answer before, or not at all."""
    if earliest is None or not 0 < now.position_ms <= now.at_ms - earliest:
        return None
    return Start(now.clock_ms, now.position_ms, earliest)


def _start_at_resume(idle: Sighting, now: Sighting) -> Start:
    """A song that was paused before anything of it was heard."""
    heard = min(now.position_ms - idle.position_ms, now.at_ms - idle.at_ms)
    return Start(now.at_ms - heard, heard, idle.at_ms)
