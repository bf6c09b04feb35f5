"""What else they do while listening: skips as acts of their own, likes and unlikes, playlists made, added to and removed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator import playlists
from soundlake.generator.choices import Queue
from soundlake.generator.hearing import Hearing
from soundlake.generator.listeners import Listeners
from soundlake.generator.randomness import Floats, Ints, child_keys, draw, draw_pair

_FOND_SHARE = 0.25
"""Tracks that a listener may come to like."""
_UNLIKE_FACTOR = 0.4
"""How often a skip takes a like back, beside a like."""
SKIP, LIKE, UNLIKE, CREATE, ADD, REMOVE = range(6)


@dataclass(frozen=True)
class Acts:
    """Columns of acts: row of the play (in the hearing), what, when (UTC, epoch ms), where in the track, number of the playlist."""

    play: Ints
    kind: Ints
    at_ms: Ints
    position_ms: Ints
    playlist: Ints


def act(listeners: Listeners, queue: Queue, hearing: Hearing) -> Acts:
    """All acts on the plays that were heard, grouped by kind."""
    liking, moment = draw_pair(queue.key[hearing.kept], "like")
    liked, unliked = _choose_likes(listeners, queue, hearing, liking)
    at_ms = hearing.start_ms + (moment * hearing.played_ms).astype(np.int64)
    changes, changed = queue.changes, np.searchsorted(hearing.kept, queue.changes.at)  # first plays, which are always heard
    made = np.flatnonzero(queue.makes_list[hearing.kept])
    parts = [
        _collect(np.flatnonzero(hearing.is_skipped), SKIP, hearing.end_ms, hearing.played_ms),
        _collect(np.flatnonzero(liked), LIKE, at_ms, hearing.played_ms),
        _collect(np.flatnonzero(unliked), UNLIKE, at_ms, hearing.played_ms),
        _collect(made, CREATE, hearing.start_ms, hearing.played_ms, queue.newest_list[hearing.kept[made]]),
        *(
            _collect(changed[changes.kind == change], kind, at_ms, hearing.played_ms, changes.number[changes.kind == change])
            for change, kind in ((playlists.ADD, ADD), (playlists.REMOVE, REMOVE))
        ),
    ]
    return Acts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _choose_likes(listeners: Listeners, queue: Queue, hearing: Hearing, liking: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which plays bring a like, and which take one back: new tracks are liked rather, well-known ones unliked."""
    rows, familiarity = queue.listener[hearing.kept], queue.familiarity[hearing.kept]
    chance = np.where(hearing.is_skipped, _UNLIKE_FACTOR * familiarity, 1.0 - familiarity)
    at = np.flatnonzero(liking * _FOND_SHARE < listeners.like_share[rows] * chance)
    track = child_keys(listeners.key[rows[at]], "track", queue.track[hearing.kept[at]])
    likes = np.zeros(len(rows), bool)
    likes[at[draw(track, "fond") < _FOND_SHARE]] = True
    return likes & ~hearing.is_skipped, likes & hearing.is_skipped


def _collect(play: Ints, kind: int, at_ms: Ints, position_ms: Ints, playlist: Ints | None = None) -> tuple[Ints, ...]:
    return play, np.full(len(play), kind), at_ms[play], position_ms[play], np.zeros_like(play) if playlist is None else playlist


def draw_titles(listener_keys: np.ndarray, playlists: Ints) -> Floats:
    """A uniform number for each listener's playlist, to choose its title by."""
    return draw(child_keys(listener_keys, "playlist", playlists), "title")
