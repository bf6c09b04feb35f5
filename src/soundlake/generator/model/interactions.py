"""What listeners do beside playing: skip events, likes and unlikes, playlists created, added to and removed from."""

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
"""Share of the tracks that a listener can come to like."""
_UNLIKE_FACTOR = 0.4
"""Likelihood of an unlike on a skip, relative to that of a like."""
SKIP, LIKE, UNLIKE, CREATE, ADD, REMOVE = range(6)


@dataclass(frozen=True)
class Interactions:
    """Columns of interactions: row of the play in the playback, kind, time (UTC, epoch ms), position in the track, playlist number."""

    play: Ints
    kind: Ints
    at_ms: Ints
    position_ms: Ints
    playlist: Ints


def draw_interactions(listeners: Listeners, queue: PlayQueue, playback: Playback) -> Interactions:
    """All interactions with the plays, grouped by kind."""
    like_draw, moment = draw_pair(queue.key[playback.kept], "like")
    liked, unliked = _choose_likes(listeners, queue, playback, like_draw)
    at_ms = playback.start_ms + (moment * playback.played_ms).astype(np.int64)
    changes, changed = queue.changes, np.searchsorted(playback.kept, queue.changes.at)  # first plays of a session, which are always kept
    made = np.flatnonzero(queue.makes_playlist[playback.kept])
    parts = [
        _make_columns(np.flatnonzero(playback.is_skipped), SKIP, playback.end_ms, playback.played_ms),
        _make_columns(np.flatnonzero(liked), LIKE, at_ms, playback.played_ms),
        _make_columns(np.flatnonzero(unliked), UNLIKE, at_ms, playback.played_ms),
        _make_columns(made, CREATE, playback.start_ms, playback.played_ms, queue.newest_playlist[playback.kept[made]]),
        *(
            _make_columns(changed[changes.kind == change], kind, at_ms, playback.played_ms, changes.number[changes.kind == change])
            for change, kind in ((playlists.ADD, ADD), (playlists.REMOVE, REMOVE))
        ),
    ]
    return Interactions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _choose_likes(
    listeners: Listeners, queue: PlayQueue, playback: Playback, like_draw: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which plays cause a like and which an unlike: likes favour new tracks, unlikes favour well-known ones."""
    rows, familiarity = queue.listener[playback.kept], queue.familiarity[playback.kept]
    chance = np.where(playback.is_skipped, _UNLIKE_FACTOR * familiarity, 1.0 - familiarity)
    at = np.flatnonzero(like_draw * _LIKEABLE_SHARE < listeners.like_share[rows] * chance)
    track = child_keys(listeners.key[rows[at]], "track", queue.track[playback.kept[at]])
    likes = np.zeros(len(rows), bool)
    likes[at[draw(track, "fond") < _LIKEABLE_SHARE]] = True
    return likes & ~playback.is_skipped, likes & playback.is_skipped


def _make_columns(play: Ints, kind: int, at_ms: Ints, position_ms: Ints, playlist: Ints | None = None) -> tuple[Ints, ...]:
    return play, np.full(len(play), kind), at_ms[play], position_ms[play], np.zeros_like(play) if playlist is None else playlist


def draw_title_shares(listener_keys: np.ndarray, playlists: Ints) -> Floats:
    """A uniform number for each listener's playlist, which selects its title."""
    return draw(child_keys(listener_keys, "playlist", playlists), "title")
