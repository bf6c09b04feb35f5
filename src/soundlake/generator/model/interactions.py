"""What else they do while listening: skips as acts of their own, likes and unlikes, playlists made, added to and removed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model import playlists
from soundlake.generator.model.listeners import Listeners
from soundlake.generator.model.playback import Playback
from soundlake.generator.model.randomness import Floats, Ints, child_keys, draw, draw_pair
from soundlake.generator.model.track_selection import PlayQueue

_LIKEABLE_SHARE = 0.25
"""Tracks that a listener may come to like."""
_UNLIKE_FACTOR = 0.4
"""How often a skip takes a like back, beside a like."""
SKIP, LIKE, UNLIKE, CREATE, ADD, REMOVE = range(6)


@dataclass(frozen=True)
class Interactions:
    """Columns of acts: row of the play (in the hearing), what, when (UTC, epoch ms), where in the track, number of the playlist."""

    play: Ints
    kind: Ints
    at_ms: Ints
    position_ms: Ints
    playlist: Ints


def draw_interactions(listeners: Listeners, queue: PlayQueue, playback: Playback) -> Interactions:
    """All acts on the plays that were heard, grouped by kind."""
    liking, moment = draw_pair(queue.key[playback.kept], "like")
    liked, unliked = _choose_likes(listeners, queue, playback, liking)
    at_ms = playback.start_ms + (moment * playback.played_ms).astype(np.int64)
    changes, changed = queue.changes, np.searchsorted(playback.kept, queue.changes.at)  # first plays, which are always heard
    made = np.flatnonzero(queue.makes_playlist[playback.kept])
    parts = [
        _collect(np.flatnonzero(playback.is_skipped), SKIP, playback.end_ms, playback.played_ms),
        _collect(np.flatnonzero(liked), LIKE, at_ms, playback.played_ms),
        _collect(np.flatnonzero(unliked), UNLIKE, at_ms, playback.played_ms),
        _collect(made, CREATE, playback.start_ms, playback.played_ms, queue.newest_playlist[playback.kept[made]]),
        *(
            _collect(changed[changes.kind == change], kind, at_ms, playback.played_ms, changes.number[changes.kind == change])
            for change, kind in ((playlists.ADD, ADD), (playlists.REMOVE, REMOVE))
        ),
    ]
    return Interactions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _choose_likes(
    listeners: Listeners, queue: PlayQueue, playback: Playback, liking: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which plays bring a like, and which take one back: new tracks are liked rather, well-known ones unliked."""
    rows, familiarity = queue.listener[playback.kept], queue.familiarity[playback.kept]
    chance = np.where(playback.is_skipped, _UNLIKE_FACTOR * familiarity, 1.0 - familiarity)
    at = np.flatnonzero(liking * _LIKEABLE_SHARE < listeners.like_share[rows] * chance)
    track = child_keys(listeners.key[rows[at]], "track", queue.track[playback.kept[at]])
    likes = np.zeros(len(rows), bool)
    likes[at[draw(track, "fond") < _LIKEABLE_SHARE]] = True
    return likes & ~playback.is_skipped, likes & playback.is_skipped


def _collect(play: Ints, kind: int, at_ms: Ints, position_ms: Ints, playlist: Ints | None = None) -> tuple[Ints, ...]:
    return play, np.full(len(play), kind), at_ms[play], position_ms[play], np.zeros_like(play) if playlist is None else playlist


def draw_title_shares(listener_keys: np.ndarray, playlists: Ints) -> Floats:
    """A uniform number for each listener's playlist, to choose its title by."""
    return draw(child_keys(listener_keys, "playlist", playlists), "title")
