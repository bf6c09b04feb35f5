"""The state of following one account: it is saved after each answer, so that a restart in the middle of a song makes one play."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from soundlake.spotify.plays.songs import Song


class Sighting(Struct, frozen=True, omit_defaults=True):
    """Where a song was at one answer; `at_ms` (since 1970) is the time of the answer."""

    at_ms: int
    position_ms: int
    is_playing: bool

    @property
    def clock_ms(self) -> int:
        """When the song would have started if it had been played from its beginning without a pause."""
        return self.at_ms - self.position_ms


class Absence(Struct, omit_defaults=True):
    """Answers that no longer show the song: 204, null items, another song that is paused, a private session."""

    since_ms: int
    answers: int = 1
    is_private: bool = False


class OpenPlay(Struct, omit_defaults=True):
    """A play that may go on. `last` is the newest sighting that moved; `heard_ms` is what was heard until then.

    `is_settled` is false while the answers do not yet give a believable start; `earliest_ms` is the earliest one possible. `begun_again` is
    an answer near the beginning that the next one must confirm.
    """

    id: str
    song: Song
    started_ms: int
    earliest_ms: int | None
    first_seen_ms: int
    last: Sighting
    heard_ms: int
    is_settled: bool = True
    sightings: int = 1
    has_moved: bool = False
    seen_ms: int = 0
    away_since_ms: int | None = None
    absence: Absence | None = None
    begun_again: Sighting | None = None
    returns: int = 0
    device_type: str | None = None
    platform: str | None = None
    is_shuffle: bool | None = None
    context_uri: str | None = None
    repeat_state: str | None = None
    reason_start: str | None = None


class EndedPlay(Struct, frozen=True, omit_defaults=True):
    """The newest play that was closed: later answers may still show it."""

    song: Song
    last: Sighting
    ended_ms: int
    reason_end: str | None = None


class IdleSong(Struct, frozen=True, omit_defaults=True):
    """A song that is paused and belongs to no open play."""

    song: Song
    last: Sighting


class ListeningState(Struct, omit_defaults=True):
    """All that is known of an account between two answers. `leaving` is a play that ended, and whose end is not yet confirmed."""

    play: OpenPlay | None = None
    leaving: OpenPlay | None = None
    ended: EndedPlay | None = None
    idle: IdleSong | None = None
    last_answer_ms: int | None = None
    last_shown_ms: int | None = None
    empty_answers: int = 0
    is_private: bool = False


def save_state(state: ListeningState) -> bytes:
    """The state as JSON."""
    return msgspec.json.encode(state)


def restore_state(saved: bytes) -> ListeningState:
    """The state of `save_state`. Raises msgspec.DecodeError for anything else."""
    return msgspec.json.decode(saved, type=ListeningState)
