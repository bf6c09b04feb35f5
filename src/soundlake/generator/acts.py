"""What else they do while listening: skips as acts of their own, likes and unlikes, playlists made, added to and removed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.choices import PLAYLIST, Queue
from soundlake.generator.hearing import Hearing
from soundlake.generator.listeners import Listeners
from soundlake.generator.playlists import choose_playlists
from soundlake.generator.randomness import Floats, Ints, child_keys, draw, draw_pair

_FOND_SHARE = 0.25
"""Tracks that a listener may come to like."""
_UNLIKE_FACTOR, _ADD_FACTOR, _REMOVE_FACTOR = 0.4, 0.7, 1.6
"""How often a skip takes a like back, and a track is added to a playlist or removed from one, beside a like."""
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
    key, rows = queue.key[hearing.kept], queue.listener[hearing.kept]
    like_share, newest = listeners.like_share[rows], queue.newest_list[hearing.kept]
    liking, moment = draw_pair(key, "like")
    listing, choice = draw_pair(key, "playlist act")
    liked, unliked = _choose_likes(listeners, queue, hearing, liking)
    added = ~hearing.is_skipped & (listing < _ADD_FACTOR * like_share)
    is_listed = queue.context[hearing.kept] == PLAYLIST
    removed = hearing.is_skipped & is_listed & (listing < _REMOVE_FACTOR * like_share)
    number = np.where(removed, queue.context_number[hearing.kept], choose_playlists(listeners, rows, newest, choice))
    at_ms = hearing.start_ms + (moment * hearing.played_ms).astype(np.int64)
    parts = [
        _collect(hearing.is_skipped, SKIP, hearing.end_ms, hearing.played_ms, number),
        _collect(liked, LIKE, at_ms, hearing.played_ms, number),
        _collect(unliked, UNLIKE, at_ms, hearing.played_ms, number),
        _collect(queue.makes_list[hearing.kept], CREATE, hearing.start_ms, hearing.played_ms, newest),
        _collect(added, ADD, at_ms, hearing.played_ms, number),
        _collect(removed, REMOVE, at_ms, hearing.played_ms, number),
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


def _collect(which: np.ndarray, kind: int, at_ms: Ints, position_ms: Ints, playlist: Ints) -> tuple[Ints, ...]:
    play = np.flatnonzero(which)
    return play, np.full(len(play), kind), at_ms[play], position_ms[play], playlist[play]


def draw_titles(listener_keys: np.ndarray, playlists: Ints) -> Floats:
    """A uniform number for each listener's playlist, to choose its title by."""
    return draw(child_keys(listener_keys, "playlist", playlists), "title")
