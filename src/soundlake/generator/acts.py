"""What else they do while listening: skips as acts of their own, likes and unlikes, playlists made, added to and removed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soundlake.generator.choices import Queue
from soundlake.generator.hearing import Hearing
from soundlake.generator.listeners import Listeners
from soundlake.generator.randomness import Floats, Ints, child_keys, draw, draw_pair

_CREATE_SHARE = 0.08
"""Additions to a playlist that is made for them."""
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
    like_share = listeners.like_share[rows]
    liking, moment = draw_pair(key, "like")
    listing, choice = draw_pair(key, "playlist act")
    liked = ~hearing.is_skipped & (liking < like_share)
    unliked = hearing.is_skipped & (liking < 0.3 * like_share)
    added = ~hearing.is_skipped & (listing < 0.7 * like_share)
    removed = hearing.is_skipped & (listing < 0.4 * like_share)
    created = added & (draw(key, "create") < _CREATE_SHARE)
    number = np.floor(listeners.playlists[rows] * choice**2).astype(np.int64)
    at_ms = hearing.start_ms + (moment * hearing.played_ms).astype(np.int64)
    parts = [
        _collect(hearing.is_skipped, SKIP, hearing.end_ms, hearing.played_ms, number),
        _collect(liked, LIKE, at_ms, hearing.played_ms, number),
        _collect(unliked, UNLIKE, at_ms, hearing.played_ms, number),
        _collect(created, CREATE, at_ms - 4_000, hearing.played_ms, number),
        _collect(added, ADD, at_ms, hearing.played_ms, number),
        _collect(removed, REMOVE, at_ms, hearing.played_ms, number),
    ]
    return Acts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _collect(which: np.ndarray, kind: int, at_ms: Ints, position_ms: Ints, playlist: Ints) -> tuple[Ints, ...]:
    play = np.flatnonzero(which)
    return play, np.full(len(play), kind), at_ms[play], position_ms[play], playlist[play]


def draw_titles(listener_keys: np.ndarray, playlists: Ints) -> Floats:
    """A uniform number for each listener's playlist, to choose its title by."""
    return draw(child_keys(listener_keys, "playlist", playlists), "title")
