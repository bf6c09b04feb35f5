"""Track selection: the context, the track and its familiarity for each play of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soundlake.generator.model.archetypes import CONTEXTS
from soundlake.generator.model.library import Favourites, choose_interest, discover_artists, measure_drift, pick_favourites
from soundlake.generator.model.listeners import Cohort, Listeners
from soundlake.generator.model.playlist_tracks import EntryRequests, pick_current_entries, pick_entries
from soundlake.generator.model.playlists import (
    ADD,
    REMOVE,
    Changes,
    Playlists,
    choose_playlists,
    find_changes,
    find_creation_days,
    find_newest,
)
from soundlake.generator.model.randomness import Floats, Ints, Keys, child_keys, choose, draw, draw_pair, root_key
from soundlake.generator.model.sessions import Sessions, draw_lengths

COLLECTION, ALBUM, PLAYLIST, RADIO, SEARCH, REPEAT, EDITORIAL = range(len(CONTEXTS))
EDITORIAL_LISTS, EDITORIAL_LENGTH = 3, 50
_FROM_THE_START_SHARE = 0.7
"""Share of the album plays that start with the first track."""
_BINGE_SHARE, _BINGE_DAYS = 0.9, 14
"""Share of album plays that use the artist's new album on its release day instead; it falls to zero over these days."""
_WEEK = 7


@dataclass(frozen=True)
class PlayQueue:
    """Columns of queued plays: `listener` is the row in the cohort, `position` the place in the session.

    `newest_playlist` is the number of the listener's newest playlist; `makes_playlist` marks plays at which it is created. `changes` are
    sparse.
    """

    session: Ints
    listener: Ints
    position: Ints
    key: Keys
    starts_run: NDArray[np.bool_]
    context: Ints
    context_number: Ints
    is_shuffle: NDArray[np.bool_]
    track: Ints
    familiarity: Floats
    newest_playlist: Ints
    makes_playlist: NDArray[np.bool_]
    changes: Changes


@dataclass(frozen=True)
class _ContextRuns:
    """Columns per play of the run it belongs to (consecutive plays from one context): key, context, and step of the play in the run.

    `changes` are playlist changes, whose plays begin a run; `change` is the row in `changes`, or -1.
    """

    starts: NDArray[np.bool_]
    key: Keys
    context: Ints
    is_shuffle: NDArray[np.bool_]
    step: Ints
    changes: Changes
    change: Ints


def build_queue(cohort: Cohort, sessions: Sessions) -> PlayQueue:
    """The plays of each session, in order; plays after the end of a session are dropped later."""
    session, position = _count_plays(cohort.listeners, sessions)
    rows = sessions.listener[session]
    key = child_keys(sessions.key[session], "play", position)
    changes = find_changes(cohort.listeners, sessions)
    changes = replace(changes, at=np.flatnonzero(position == 0)[changes.at])
    runs = _split_into_runs(cohort.listeners, rows, position, key, changes)
    chooser = _TrackSelector(cohort, rows, sessions.day[session], key, runs)
    track, number, familiarity = chooser.choose_tracks()
    newest = find_newest(cohort.listeners, sessions.listener, sessions.day)
    makes = sessions.is_first_of_day & (find_creation_days(cohort.listeners, sessions.listener, newest) == sessions.day)
    return PlayQueue(
        session, rows, position, key, runs.starts, runs.context, number, runs.is_shuffle, track, familiarity, newest[session],
        makes[session] & (position == 0), chooser.list_changes(),
    )  # fmt: skip


def _count_plays(listeners: Listeners, sessions: Sessions) -> tuple[Ints, Ints]:
    """The session of each queued play, and its position in the session."""
    rows = sessions.listener
    count = draw_lengths(listeners, rows, sessions.key)
    session = np.repeat(np.arange(len(rows)), count)
    return session, np.arange(len(session)) - np.repeat(np.cumsum(count) - count, count)


def _split_into_runs(listeners: Listeners, rows: Ints, position: Ints, key: Keys, changes: Changes) -> _ContextRuns:
    """Where the context changes, and to which context; playlist changes come from a search (ADD) or that playlist (REMOVE)."""
    starts = (position == 0) | (draw(key, "switch") < listeners.switch_share[rows])
    first, run = np.flatnonzero(starts), np.cumsum(starts) - 1
    opener, who = key[first], rows[first]
    context = choose(listeners.context_cdf[who], draw(opener, "context"))
    stays = draw(opener, "devotion") < listeners.favourite_artist_share[who]
    context = np.where(stays & np.isin(context, (RADIO, EDITORIAL)), ALBUM, context)
    change = np.full(len(first), -1)
    change[run[changes.at]] = np.arange(len(changes.at))
    context[run[changes.at]] = np.where(changes.kind == REMOVE, PLAYLIST, SEARCH)
    is_shuffle = (draw(opener, "shuffle") < listeners.shuffle_share[who]) & (context != ALBUM) & (context != REPEAT)
    return _ContextRuns(starts, opener[run], context[run], is_shuffle[run], position - position[first][run], changes, change[run])


class _TrackSelector:
    """Selects tracks by context. All columns have one row per play."""

    def __init__(self, cohort: Cohort, rows: Ints, days: Ints, key: Keys, runs: _ContextRuns) -> None:
        self._scene, self._catalogue, self._listeners = cohort, cohort.catalogue, cohort.listeners
        self._rows, self._days, self._key, self._runs = rows, days, key, runs
        self._is_void = np.zeros(len(rows), bool)

    def list_changes(self) -> Changes:
        """The playlist changes that are not void."""
        return self._runs.changes.take(~self._is_void[self._runs.changes.at])

    def choose_tracks(self) -> tuple[Ints, Ints, Floats]:
        """Track, number of the context (artist, album, playlist …) and familiarity (0 new … 1 well known) of each play."""
        context = self._runs.context
        track, number, familiarity = np.zeros(len(context), np.int64), np.zeros(len(context), np.int64), np.zeros(len(context))
        ways: dict[int, Callable[[Ints], tuple[Ints, Ints, Floats]]] = {
            COLLECTION: self._from_collection, SEARCH: self._from_collection, REPEAT: self._from_repeated_track, ALBUM: self._from_album,
            PLAYLIST: self._from_playlist, RADIO: self._from_radio, EDITORIAL: self._from_editorial,
        }  # fmt: skip
        for kind, way in ways.items():
            at = np.flatnonzero(context == kind)
            track[at], number[at], familiarity[at] = way(at)
        added = self._runs.changes.take(self._runs.changes.kind == ADD)
        lists = Playlists.of(self._listeners, self._rows[added.at], added.number)
        track[added.at] = pick_entries(self._scene, lists, added.entry).track
        return track, number, familiarity

    def _pick_favourites(self, at: Ints, key: Keys, artist_key: Keys | None = None) -> Favourites:
        """A favourite track from the library for each key; `artist_key`, if given, selects the artist."""
        return pick_favourites(self._scene, self._rows[at], key, self._days[at], artist_key)

    def _pick_once_per_run(self, at: Ints) -> Favourites:
        """The favourite track that each play's run is based on."""
        run = np.cumsum(self._runs.starts[at]) - 1  # all plays of a run have one context, so its first play is included
        opener = at[self._runs.starts[at]]
        return self._pick_favourites(opener, self._runs.key[opener]).take(run)

    def _from_collection(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        """Songs from the library, of any artist or, in some runs, of one artist."""
        rows, key, run_key = self._rows[at], self._key[at], self._runs.key[at]
        is_themed = draw(run_key, "theme") < self._listeners.theme_share[rows]
        favourites = self._pick_favourites(at, key, np.where(is_themed, run_key, key))
        return favourites.track, self._listeners.number[rows], favourites.familiarity

    def _from_repeated_track(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        favourites = self._pick_once_per_run(at)
        return favourites.track, self._catalogue.track_album[favourites.track], favourites.familiarity

    def _from_album(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        """The album of a favourite track, from its first track or that one; after its end other tracks of the artist."""
        catalogue, favourites = self._catalogue, self._pick_once_per_run(at)
        chosen = self._prefer_new_album(at, favourites)
        album = catalogue.track_album[chosen]
        begins_at_first = draw(self._runs.key[at], "album start") < _FROM_THE_START_SHARE
        track = np.where(begins_at_first, catalogue.track_first_of_album[album], chosen) + self._runs.step[at]
        over = np.flatnonzero(track >= catalogue.track_first_of_album[album + 1])
        track[over] = catalogue.draw_tracks(favourites.artist[over], draw(self._key[at[over]], "after album"), self._days[at[over]])
        return track, album, favourites.familiarity

    def _prefer_new_album(self, at: Ints, favourites: Favourites) -> Ints:
        """The first track of an album that the artist released recently (with some probability); else the favourite track."""
        catalogue, days = self._catalogue, self._days[at]
        newest = catalogue.find_newest_albums(favourites.artist, days)
        age = days - catalogue.album_release_day[newest]
        boundaries = (age >= 0) & (draw(self._runs.key[at], "binge") < _BINGE_SHARE * (1 - age / _BINGE_DAYS))
        return np.where(boundaries, catalogue.track_first_of_album[newest], favourites.track)

    def _from_playlist(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        """One of the listener's own playlists, in order or shuffled."""
        runs, listeners, days = self._runs, self._listeners, self._days[at]
        opener, run = at[runs.starts[at]], np.cumsum(runs.starts[at]) - 1
        which, start = draw_pair(runs.key[opener], "playlist")
        newest = find_newest(listeners, self._rows[opener], self._days[opener])
        number = choose_playlists(listeners, self._rows[opener], newest, which)
        removal = np.flatnonzero(runs.change[opener] >= 0)
        number[removal] = runs.changes.number[runs.change[opener[removal]]]
        lists = Playlists.of(listeners, self._rows[opener], number)
        length = lists.first_entries + lists.count_opportunities(self._days[opener] - 1)
        begin = np.floor(start**1.3 * length).astype(np.int64)
        shuffled = np.floor(draw(self._key[at], "entry") * length[run]).astype(np.int64)
        wanted = np.where(runs.is_shuffle[at], shuffled, (begin[run] + runs.step[at]) % length[run])
        removed = (runs.change[at] >= 0) & runs.starts[at]
        wanted[removed] = runs.changes.entry[runs.change[at[removed]]]
        favourites, self._is_void[at] = pick_current_entries(self._scene, lists, EntryRequests(run, days, wanted, removed))
        return favourites.track, number[run], 0.2 + 0.8 * favourites.familiarity

    def _from_radio(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        """Around an artist of the library: every fourth track is theirs, the others come from their cluster and are mostly new."""
        catalogue, favourites = self._catalogue, self._pick_once_per_run(at)
        cluster = np.searchsorted(catalogue.cluster_first, favourites.artist, side="right") - 1
        other, share = draw_pair(self._key[at], "radio")
        artist = np.where(self._runs.step[at] % 4 == 0, favourites.artist, catalogue.draw_artists(cluster, other))
        return catalogue.draw_tracks(artist, share, self._days[at]), favourites.artist, np.where(self._runs.step[at] % 4 == 0, 0.5, 0.1)

    def _from_editorial(self, at: Ints) -> tuple[Ints, Ints, Floats]:
        """A list of a cluster that changes every week, the same for all listeners; one of the lists is personal."""
        catalogue, rows, days = self._catalogue, self._rows[at], self._days[at]
        which, kind = draw_pair(self._runs.key[at], "editorial")
        cluster = choose_interest(self._scene, rows, which, measure_drift(self._listeners, rows, days))
        number = cluster * EDITORIAL_LISTS + np.floor(kind * EDITORIAL_LISTS).astype(np.int64)
        start = np.floor(draw(self._runs.key[at], "start") ** 2 * EDITORIAL_LENGTH).astype(np.int64)
        entry = (start + self._runs.step[at]) % EDITORIAL_LENGTH
        editorial = child_keys(root_key(self._scene.seed, catalogue.fingerprint), "editorial", number)
        artist_share, track_share = draw_pair(child_keys(child_keys(editorial, "week", days // _WEEK), "entry", entry), "pick")
        artist = catalogue.draw_artists(cluster, artist_share)
        mine = np.flatnonzero(kind * EDITORIAL_LISTS >= EDITORIAL_LISTS - 1)
        artist[mine] = discover_artists(self._scene, rows[mine], self._key[at[mine]], days[mine])
        return catalogue.draw_tracks(artist, track_share, days), number, np.full(len(at), 0.15)
