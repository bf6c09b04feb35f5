"""Events as Arrow tables: the contract's columns for simulated plays and interactions, in the order they are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from soundlake.contract import EVENT_SCHEMA, SCHEMA_VERSION
from soundlake.contract.record import GENERATED_ID_PREFIX
from soundlake.generator.model import places
from soundlake.generator.model.archetypes import CONTEXTS, DEVICES
from soundlake.generator.model.dictionary_columns import ALL_VALID, TextDictionary, Validity, look_up_names, repeat_text, scatter_texts
from soundlake.generator.model.fake_catalogue.words import load_words
from soundlake.generator.model.interactions import ADD, CREATE, REMOVE, SKIP, Interactions, draw_title_shares
from soundlake.generator.model.listeners import Cohort
from soundlake.generator.model.playback import END_REASONS, START_REASONS, Playback
from soundlake.generator.model.randomness import Ints, child_keys, draw
from soundlake.generator.model.sessions import Sessions
from soundlake.generator.model.track_selection import PLAYLIST, PlayQueue
from soundlake.generator.model.uuids import make_uuids

EVENT_TYPES = ("play", "skip", "like", "like", "playlist", "playlist", "playlist")
ACTIONS = (None, None, "like", "unlike", "create", "add", "remove")
_PLAY = 0
"""Kinds of rows: 0 is the play, interactions follow from 1 on."""
_KEY_BITS = np.uint64(24)  # bits of the key below the time: a fixed order for events sent in the same millisecond

DEVICE_TYPES, PLATFORMS = (tuple(device[place] for device in DEVICES) for place in (0, 1))
CONTEXT_KINDS = tuple("album" if context == "repeat" else context for context in CONTEXTS)
_PLAYLISTS_PER_LISTENER = 10_000


@dataclass(frozen=True)
class Activity:
    """Everything simulated for an interval of time."""

    cohort: Cohort
    sessions: Sessions
    queue: PlayQueue
    playback: Playback
    interactions: Interactions


def build_events(activity: Activity, name_listener: Callable[[int], str], *, as_dictionaries: bool = False) -> pa.Table:
    """The events (EVENT_SCHEMA), ordered by the time they are sent.

    `as_dictionaries` keeps repeated texts in Arrow's dictionary type, which is faster than writing them out.
    """
    columns = _ColumnBuilder(activity, _EventRows(activity), name_listener)
    made = {field.name: columns.make(field) for field in EVENT_SCHEMA}
    if as_dictionaries:
        return pa.table(made)
    return pa.table([made[field.name].cast(field.type) for field in EVENT_SCHEMA], schema=EVENT_SCHEMA)


def read_sent_ms(events: pa.Table) -> Ints:
    """The time each event is sent (UTC, epoch ms)."""
    return np.asarray(events["produced_at"].cast(pa.int64()).to_numpy() // 1_000)


class _EventRows:
    """Sorted rows, one per event: the play it belongs to, its kind and its times."""

    def __init__(self, activity: Activity) -> None:
        queue, playback, interactions = activity.queue, activity.playback, activity.interactions
        plays = len(playback.kept)
        play = np.concatenate([np.arange(plays), interactions.play])
        kind = np.concatenate([np.full(plays, _PLAY), interactions.kind + 1])
        happened = np.concatenate([playback.start_ms, interactions.at_ms])
        key = child_keys(queue.key[playback.kept][play], "event", kind)
        latency = (200 + 1_800 * draw(key, "latency") ** 3).astype(np.int64)
        delivered = activity.sessions.delivered_ms[queue.session[playback.kept[play]]]
        sent = np.maximum(np.concatenate([playback.end_ms, interactions.at_ms]), delivered) + latency
        order = np.argsort((sent - sent.min(initial=0)).astype(np.uint64) << _KEY_BITS | key >> (64 - _KEY_BITS))
        self.play, self.kind = play.take(order), kind.take(order)
        self.happened_ms, self.sent_ms, self.key = happened.take(order), sent.take(order), key.take(order)
        self.interaction = np.where(order >= plays, order - plays, 0)
        self.queued = playback.kept.take(self.play)
        self.session = queue.session.take(self.queued)
        self.listener = activity.sessions.listener.take(self.session)
        self.is_play: NDArray[np.bool_] = self.kind == _PLAY


class _ColumnBuilder:
    """Builds the columns, each with one row per event."""

    def __init__(self, activity: Activity, rows: _EventRows, name_listener: Callable[[int], str]) -> None:
        self._activity, self._rows, self._name_listener = activity, rows, name_listener
        self._listeners, self._queue = activity.cohort.listeners, activity.queue
        self._is_playlist_row = np.isin(rows.kind - 1, (CREATE, ADD, REMOVE))
        self._of_track, self._of_play = Validity.of(rows.kind - 1 != CREATE), Validity.of(rows.is_play)
        self._track = activity.queue.track.take(rows.queued)
        self._device = activity.sessions.device.take(rows.session)
        self._played_ms = activity.playback.played_ms.take(rows.play)
        self._makers = self._list_makers()

    def make(self, field: pa.Field) -> pa.Array:
        """The column of a field; all null for a field that the generator does not fill."""
        maker = self._makers.get(field.name)
        return pa.nulls(len(self._rows.play), field.type) if maker is None else maker()

    def _list_makers(self) -> dict[str, Callable[[], pa.Array]]:
        catalogue, rows, playback, sessions = self._activity.cohort.catalogue, self._rows, self._activity.playback, self._activity.sessions
        count, track, album = len(rows.play), self._track, catalogue.track_album.take(self._track)
        artist = catalogue.track_artist.take(track)
        return {
            "event_id": lambda: make_uuids(rows.key),
            "event_type": lambda: look_up_names(EVENT_TYPES, rows.kind),
            "schema_version": lambda: pa.repeat(pa.scalar(SCHEMA_VERSION), count),
            "user_id": lambda: TextDictionary(self._name_listeners()).pick(rows.listener),
            "played_at": lambda: _write_times(rows.happened_ms),
            "played_at_basis": lambda: repeat_text("measured", count),
            "session_id": lambda: TextDictionary(make_uuids(sessions.key)).pick(rows.session),
            "content_type": lambda: look_up_names(("track",), np.zeros(count, np.int32), self._of_track),
            "track_id": lambda: catalogue.texts.track_id.pick(track, self._of_track),
            "track_name": lambda: catalogue.texts.track_name.pick(track, self._of_track),
            "artist_id": lambda: catalogue.texts.artist_id.pick(artist, self._of_track),
            "artist_name": lambda: catalogue.texts.artist_name.pick(artist, self._of_track),
            "album_id": lambda: catalogue.texts.album_id.pick(album, self._of_track),
            "album_name": lambda: catalogue.texts.album_name.pick(album, self._of_track),
            "duration_ms": lambda: self._of_track.write_numbers(catalogue.track_duration_ms.take(track), pa.int64()),
            "ms_played": lambda: self._of_play.write_numbers(self._played_ms, pa.int64()),
            "position_ms": lambda: Validity.of(rows.kind - 1 == SKIP).write_numbers(self._played_ms, pa.int64()),
            "action": lambda: look_up_names(ACTIONS, rows.kind),
            "playlist_id": self._name_playlists,
            "playlist_name": self._title_playlists,
            "reason_start": lambda: look_up_names(START_REASONS, playback.reason_start.take(rows.play), self._of_play),
            "reason_end": lambda: look_up_names(END_REASONS, playback.reason_end.take(rows.play), self._of_play),
            "is_skipped": lambda: self._of_play.write_flags(playback.is_skipped.take(rows.play)),
            "is_shuffle": lambda: self._of_play.write_flags(self._queue.is_shuffle.take(rows.queued)),
            "is_offline": lambda: self._of_play.write_flags(sessions.is_offline.take(rows.session)),
            "is_private": lambda: self._of_play.write_flags(sessions.is_private.take(rows.session)),
            "context_uri": self._name_contexts,
            "device_type": lambda: look_up_names(DEVICE_TYPES, self._device),
            "platform": lambda: look_up_names(PLATFORMS, self._device),
            "country": lambda: look_up_names(places.COUNTRIES, self._listeners.place.take(rows.listener)),
            "source": lambda: repeat_text("generator", count),
            "source_ref": self._name_plays,
            "produced_at": lambda: _write_times(rows.sent_ms),
        }

    def _name_listeners(self) -> pa.Array:
        return pa.array([self._name_listener(number) for number in self._listeners.number.tolist()])

    def _name_plays(self) -> pa.Array:
        """The event_id of the play that each skip refers to."""
        at = np.flatnonzero(self._rows.kind - 1 == SKIP)
        play = child_keys(self._queue.key[self._rows.queued[at]], "event", np.full(len(at), _PLAY))
        return scatter_texts(make_uuids(play), at, len(self._rows.play))

    def _name_playlists(self) -> pa.Array:
        at = np.flatnonzero(self._is_playlist_row)
        numbers = self._listeners.number[self._rows.listener[at]]
        names = [
            f"{GENERATED_ID_PREFIX}playlist_{n:06d}_{p}" for n, p in zip(numbers.tolist(), self._list_playlists(at).tolist(), strict=True)
        ]
        return scatter_texts(pa.array(names, pa.string()), at, len(self._rows.play))

    def _list_playlists(self, at: Ints) -> Ints:
        """The numbers of the playlists in these rows."""
        return self._activity.interactions.playlist[self._rows.interaction[at]]

    def _title_playlists(self) -> pa.Array:
        at = np.flatnonzero(self._is_playlist_row)
        share = draw_title_shares(self._listeners.key[self._rows.listener[at]], self._list_playlists(at))
        titles = load_words().playlists
        return scatter_texts(pa.array(titles).take(pa.array((share * len(titles)).astype(np.int64))), at, len(self._rows.play))

    def _name_contexts(self) -> pa.Array:
        """`sl:<kind>:<number>`: generated like the ids, so never a link to a service."""
        queue = self._queue
        first = np.flatnonzero(queue.starts_run)
        context, number = queue.context[first], queue.context_number[first]
        number = np.where(context == PLAYLIST, self._listeners.number[queue.listener[first]] * _PLAYLISTS_PER_LISTENER + number, number)
        names = pc.binary_join_element_wise("sl", pa.array(CONTEXT_KINDS).take(pa.array(context)), pa.array(number).cast(pa.string()), ":")
        run = (np.cumsum(queue.starts_run) - 1).take(self._rows.queued)
        return TextDictionary.of(names).pick(run, self._of_play)


def _write_times(epoch_ms: Ints) -> pa.Array:
    return ALL_VALID.write_numbers(epoch_ms * 1_000, pa.timestamp("us", tz="UTC"))
