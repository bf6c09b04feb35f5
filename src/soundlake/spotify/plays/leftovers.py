"""Answers that show a song of which nothing is heard: they are late, or the player is gone."""

from __future__ import annotations

from soundlake.spotify.plays.hearing import FASTEST_SPEED, JITTER_MS, SLOWEST_SPEED, is_speech
from soundlake.spotify.plays.songs import Song, is_same_song
from soundlake.spotify.plays.state import EndedPlay, OpenPlay, Sighting

PAST_THE_END_MS = 2_000
"""A position this far past the length is no rounding: the song is over (W05)."""
_LATE_MS = 20_000  # answers were 10 to 15 s late (home-assistant/core#181315)


def is_past_its_end(song: Song, now: Sighting) -> bool:
    """Whether the position is past the length: the player is gone, and the service goes on with its clock (W05)."""
    return song.duration_ms is not None and now.position_ms >= song.duration_ms + PAST_THE_END_MS


def is_out_of_reach(song: Song, before: Sighting, now: Sighting) -> bool:
    """Whether the position is past the length and further than the clock went: nobody seeks there, it is the old song's clock (W07)."""
    elapsed = now.at_ms - before.at_ms
    reach = elapsed * (FASTEST_SPEED if is_speech(song) else 1) + JITTER_MS
    return is_past_its_end(song, now) and now.position_ms - before.position_ms > reach


def is_leftover(ended: EndedPlay | None, song: Song, now: Sighting) -> bool:
    """Whether the answer is about a play that was closed: past its end, or a few seconds late."""
    if ended is None or not is_same_song(ended.song, song):
        return False
    if song.duration_ms is not None and now.position_ms >= song.duration_ms - PAST_THE_END_MS:
        return True
    return now.at_ms - ended.ended_ms <= _LATE_MS and is_on_clock(song, ended.last, now)


def is_return(leaving: OpenPlay | None, song: Song, now: Sighting) -> bool:
    """Whether a song goes on that seemed to have been followed by another one: one of the two answers was wrong.

    A listener who goes back to the song before hears it from its beginning.
    """
    if leaving is None or not is_same_song(leaving.song, song):
        return False
    if not leaving.is_settled and leaving.earliest_ms is not None:
        return now.clock_ms >= leaving.earliest_ms - JITTER_MS or is_on_clock(song, leaving.last, now)
    return now.position_ms >= leaving.last.position_ms - JITTER_MS


def is_on_clock(song: Song, before: Sighting, now: Sighting) -> bool:
    """Whether the position is where it was, or where it must be if the song went on."""
    elapsed, moved = now.at_ms - before.at_ms, now.position_ms - before.position_ms
    if moved == 0 or not before.is_playing:
        return moved == 0
    slowest, fastest = (SLOWEST_SPEED, FASTEST_SPEED) if is_speech(song) else (1.0, 1.0)
    return elapsed * slowest - JITTER_MS <= moved <= elapsed * fastest + JITTER_MS
