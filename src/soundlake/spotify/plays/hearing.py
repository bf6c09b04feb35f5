"""How much was heard between two answers that show the same song."""

from __future__ import annotations

from soundlake.spotify.plays.songs import Song
from soundlake.spotify.plays.state import OpenPlay, Sighting

JITTER_MS = 3_000
"""How far a position may be from the clock: answers are made of reports of the device, some seconds apart."""
CONTINUOUS_MS = 60_000
"""Between answers no further apart nothing else was played unseen; the planner asks at least this often while a song plays."""
SLOWEST_SPEED, FASTEST_SPEED = 0.45, 3.6
"""Podcasts and books play at 0.5 to 3.5 times their speed; the position moves with it."""


def take_sighting(play: OpenPlay, now: Sighting) -> None:
    """Count what was heard since the last sighting; what was heard in a private session does not count (P08)."""
    if play.absence is not None and play.absence.is_private:
        play.last, play.seen_ms = now, now.at_ms
    else:
        advance(play, now)
    play.absence = None
    play.away_since_ms = None if now.is_playing else play.away_since_ms or now.at_ms


def advance(play: OpenPlay, now: Sighting) -> None:
    """Count what was heard since the last sighting that moved."""
    if has_not_moved(play.last, now):
        play.seen_ms = now.at_ms
        return
    play.heard_ms += _measure_unmoved(play, now) if is_unmeasured(play) and now.position_ms == 0 else measure_heard(play, now)
    play.has_moved = play.has_moved or now.position_ms != play.last.position_ms
    play.last, play.seen_ms = now, now.at_ms


def has_not_moved(before: Sighting, now: Sighting) -> bool:
    """A position that did not move although it plays: an old answer, or a device that went away. The next that moves decides (W03)."""
    return before.is_playing and now.is_playing and before.position_ms == now.position_ms


def is_speech(song: Song) -> bool:
    """Whether the song may be played at another speed."""
    return song.content_type in ("episode", "chapter")


def is_unmeasured(play: OpenPlay) -> bool:
    """Whether the position was 0 in all answers: some speakers report none (W03)."""
    return not play.has_moved and play.last.position_ms == 0


def measure_heard(play: OpenPlay, now: Sighting) -> int:
    """Milliseconds heard from the last sighting to this one."""
    last = play.last
    elapsed, moved = now.at_ms - last.at_ms, _limit(play, now.position_ms) - _limit(play, last.position_ms)
    if elapsed < 0:  # the machine's clock was set back
        return max(0, min(moved, CONTINUOUS_MS))
    if last.is_playing and now.is_playing:
        if moved < 0:
            return _measure_seek_back(elapsed)
        if moved > elapsed + JITTER_MS or (is_speech(play.song) and moved >= SLOWEST_SPEED * elapsed):
            return elapsed  # a seek ahead is not heard (M02); speech at another speed is heard by the clock
        return moved  # also behind the clock: a pause between the answers
    if 0 <= moved <= elapsed + JITTER_MS:
        return min(moved, elapsed)  # a pause begins or ends: exactly what progress says (D03)
    return min(elapsed, JITTER_MS) if last.is_playing or now.is_playing else 0  # a seek and a pause: unknown, little


def _measure_unmoved(play: OpenPlay, now: Sighting) -> int:
    """A device without positions is paused or resumed: the time for which it was seen playing."""
    return max(play.seen_ms, now.at_ms - JITTER_MS) - play.last.at_ms if play.last.is_playing else 0


def _measure_seek_back(elapsed: int) -> int:
    """What is heard again counts (W10); over a long gap nobody knows what was heard."""
    return elapsed if elapsed <= CONTINUOUS_MS else 0


def _limit(play: OpenPlay, position_ms: int) -> int:
    """A position past the end is the end (W05)."""
    return position_ms if play.song.duration_ms is None else min(position_ms, play.song.duration_ms)
