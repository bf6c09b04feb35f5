"""What plays at a moment, for the page: computed from the state alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from soundlake.spotify.plays.endings import UNBELIEVED_EMPTY_ANSWERS
from soundlake.spotify.plays.instants import write_ms
from soundlake.spotify.plays.outcomes import Setting
from soundlake.spotify.plays.settings import get_setting
from soundlake.spotify.plays.songs import Song
from soundlake.spotify.plays.state import ListeningState

_SHOWN_AFTER_END_MS = 20_000
"""For how long a song stays on the page after its end by the clock; then nothing plays, or the player is gone (W05)."""


@dataclass(frozen=True)
class Current:
    """The song of the open play and its position now; `is_stale` if its end has passed or the last answers did not show it."""

    play_id: str
    song: Song
    started_ms: int
    position_ms: int
    is_playing: bool
    is_stale: bool
    setting: Setting


def find_current(state: ListeningState, at: datetime) -> Current | None:
    """What plays at that moment; None if nothing does, or in a private session.

    The position is that of the newest answer and the time since then, never anything from the answer's `timestamp` (W06).
    """
    play, at_ms = state.play, write_ms(at)
    if play is None or state.is_private:
        return None
    if play.absence is not None and play.absence.answers >= UNBELIEVED_EMPTY_ANSWERS:
        return None
    moved = at_ms - play.last.at_ms if play.last.is_playing else 0
    position, duration = play.last.position_ms + max(0, moved), play.song.duration_ms
    if duration is not None and position > duration + _SHOWN_AFTER_END_MS:
        return None
    return Current(
        play_id=play.id,
        song=play.song,
        started_ms=play.started_ms,
        position_ms=position if duration is None else min(position, duration),
        is_playing=play.last.is_playing,
        is_stale=play.absence is not None or (duration is not None and position > duration),
        setting=get_setting(play),
    )
