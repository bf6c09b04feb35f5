"""Listeners who do what the generator's listeners do: its plays, with the pauses, seeks and changes of a player between and within them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from soundlake.contract.record import GENERATED_ID_PREFIX
from soundlake.spotify.fake.catalogue import FakeTrack, digest
from soundlake.spotify.fake.clock import to_ms
from soundlake.spotify.fake.habits import Habits
from soundlake.spotify.fake.play_writer import PlannedPlay, PlayWriter
from soundlake.spotify.fake.timeline import FakeDevice, PlayerMode, Timeline

ListEvents = Callable[[int, int, int], pa.Table]
"""The generator's events (EVENT_SCHEMA) of one listener's sessions that begin in a span: listener's number, from and until in epoch ms."""

_COLUMNS = [
    "user_id", "played_at", "track_id", "track_name", "artist_id", "artist_name", "album_id", "album_name", "duration_ms", "ms_played",
    "reason_end", "is_shuffle", "is_offline", "is_private", "context_uri", "device_type", "platform", "produced_at",
]  # fmt: skip
_SPAN_MS = 7 * 86_400_000
_AHEAD_MS = 6 * 3_600_000
_MOST_EMPTY_SPANS = 20
_DEVICE_TYPES = {
    "desktop": "Computer",
    "web": "Computer",
    "mobile": "Smartphone",
    "tablet": "Tablet",
    "speaker": "Speaker",
    "tv": "TV",
    "car": "Automobile",
}
_HASTY_MS = 10_000
_HASTY_SHARE = 0.4
"""The share that is kept of the plays that begin a song again so soon after it was left: 0.5 % of the plays, as in real exports
(docs/fake-spotify.md); the generator has 1.3 %."""
_EPISODE_SHARE = 50
"""One track in this many is an episode of a podcast."""


@dataclass(slots=True)
class _Listener:
    number: int
    writer: PlayWriter
    next_ms: int
    empty_spans: int = 0


@dataclass(slots=True)
class SimulatedListeners:
    """Accounts with these numbers and habits, who listen from `start_ms` (UTC, epoch ms) on; their time lines grow with `extend_to`.

    The same events, habits and seed give the same time lines, in whatever steps they are extended.
    """

    list_events: ListEvents
    names: dict[int, str]
    start_ms: int
    habits: dict[int, Habits] = field(default_factory=dict)
    seed: int = 42
    _listeners: list[_Listener] = field(init=False)

    def __post_init__(self) -> None:
        self._listeners = [
            _Listener(number, PlayWriter(Timeline(name), self.habits.get(number, Habits()), self.seed, self.start_ms), self.start_ms)
            for number, name in self.names.items()
        ]

    @property
    def timelines(self) -> list[Timeline]:
        """The time lines, in the order of the names."""
        return [listener.writer.timeline for listener in self._listeners]

    def extend_to(self, now_ms: int) -> Iterable[FakeTrack]:
        """Write the time lines to some hours after `now_ms`; the tracks of the new parts."""
        played: list[FakeTrack] = []
        for listener in self._listeners:
            while listener.writer.settled_ms < now_ms + _AHEAD_MS:
                played.extend(self._write_span(listener))
        return played

    def _write_span(self, listener: _Listener) -> Iterator[FakeTrack]:
        until_ms = listener.next_ms + _SPAN_MS
        events = self.list_events(listener.number, listener.next_ms, until_ms)
        listener.next_ms = until_ms
        plays = self._leave_out_hasty([read_play(row) for row in _choose_plays(events)])
        if self.habits.get(listener.number, Habits()).is_seen:
            plays = [replace(play, is_offline=False, mode=replace(play.mode, is_private=False)) for play in plays]
        listener.empty_spans = 0 if plays else listener.empty_spans + 1
        is_away = listener.empty_spans > _MOST_EMPTY_SPANS  # a listener without plays ahead: time passes all the same
        listener.writer.write(plays, until_ms, is_away=is_away)
        for play in plays:
            yield play.track

    def _leave_out_hasty(self, plays: list[PlannedPlay]) -> list[PlannedPlay]:
        return [
            play
            for before, play in zip([None, *plays], plays, strict=False)
            if not (before and _is_hasty(before, play)) or digest(f"{self.seed}/{play.track.id}/{play.start_ms}") % 100 < _HASTY_SHARE * 100
        ]


def _is_hasty(before: PlannedPlay, play: PlannedPlay) -> bool:
    """Whether a song that was left before its end begins again within seconds."""
    silence_ms = play.start_ms - before.start_ms - before.stop_ms
    return before.track.id == play.track.id and not before.is_done and silence_ms <= _HASTY_MS


def read_play(row: dict[str, Any]) -> PlannedPlay:
    """A play of the generator as what the player is asked to do."""
    start: datetime = row["played_at"]
    is_episode = digest(row["track_id"]) % _EPISODE_SHARE == 0
    track = FakeTrack(
        id=row["track_id"].replace("track", "episode") if is_episode else row["track_id"],
        name=row["track_name"],
        duration_ms=row["duration_ms"],
        artist_id=row["artist_id"],
        artist_name=row["artist_name"],
        album_id=row["album_id"].replace("album", "show") if is_episode else row["album_id"],
        album_name=row["album_name"],
        type="episode" if is_episode else "track",
    )
    kind = row["device_type"] or "mobile"
    device = FakeDevice(f"{GENERATED_ID_PREFIX}device_{kind}", row["platform"] or kind, _DEVICE_TYPES.get(kind, "Unknown"))
    context = row["context_uri"]
    return PlannedPlay(
        start_ms=to_ms(start),
        delivered_ms=to_ms(row["produced_at"]),
        stop_ms=row["ms_played"],
        reason_end=row["reason_end"] or "unknown",
        is_offline=bool(row["is_offline"]),
        track=track,
        mode=PlayerMode(
            device,
            is_private=bool(row["is_private"]),
            is_shuffle=bool(row["is_shuffle"]),
            context_uri=None if context is None else _name_context(context),
        ),
    )


def _name_context(uri: str) -> str:
    """`sl:album:65` as Spotify would write it."""
    _, kind, number = uri.split(":")
    return f"spotify:{kind if kind in ('album', 'artist') else 'playlist'}:{GENERATED_ID_PREFIX}{kind}_{number}"


def _choose_plays(events: pa.Table) -> list[dict[str, Any]]:
    plays = events.filter(pc.equal(events["event_type"], "play")).select(_COLUMNS)
    return list(plays.sort_by("played_at").to_pylist())
