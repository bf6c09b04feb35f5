"""Answers that show a song of which nothing is heard: they are late, or the player is gone."""

from __future__ import annotations

from soundlake.spotify.plays.hearing import JITTER_MS
from soundlake.spotify.plays.songs import Song, is_same_song
from soundlake.spotify.plays.state import EndedPlay, OpenPlay, Sighting

PAST_THE_END_MS = 2_000
"""A position this far past the length is no rounding: the song is over (W05)."""
_LATE_MS = 20_000  # answers were 10 to 15 s late (home-assistant/core#181315)


def is_past_its_end(song: Song, now: Sighting) -> bool:
    """Whether the position is past the length: the player is gone, and the service goes on with its clock (W05)."""
    return song.duration_ms is not None and now.position_ms >= song.duration_ms + PAST_THE_END_MS


def is_leftover(ended: EndedPlay | None, song: Song, now: Sighting) -> bool:
    """Whether the answer is about a play that was closed: past its end, or a few seconds late."""
    if ended is None or not is_same_song(ended.song, song):
        return False
    if song.duration_ms is not None and now.position_ms >= song.duration_ms - PAST_THE_END_MS:
        return True
    return now.at_ms - ended.ended_ms <= _LATE_MS and is_on_clock(ended.last, now)


def is_return(leaving: OpenPlay | None, song: Song, now: Sighting) -> bool:
    """Whether a song goes on that seemed to have been followed by another one: one of the two answers was wrong."""
    return leaving is not None and is_same_song(leaving.song, song) and is_on_clock(leaving.last, now)


def is_on_clock(before: Sighting, now: Sighting) -> bool:
    """Whether the position is where it was, or where it must be if the song went on."""
    return now.position_ms == before.position_ms or (before.is_playing and abs(now.clock_ms - before.clock_ms) <= JITTER_MS)
