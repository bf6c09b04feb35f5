"""What following an account gives: plays, skips and changes of the song that plays now."""

from __future__ import annotations

from msgspec import Struct

from soundlake.spotify.plays.songs import Song


class Setting(Struct, frozen=True, omit_defaults=True):
    """How a song was played: device, shuffle and context; null where the answers did not say."""

    device_type: str | None = None
    platform: str | None = None
    is_shuffle: bool | None = None
    context_uri: str | None = None


class Play(Struct, frozen=True, omit_defaults=True, tag=True):
    """A play that ended. `ms_played` is the time heard, also over the length of the song where parts were heard twice.

    `is_skipped` and `reason_end` are null where nobody saw the end. `is_measured` is false on devices that report no position.
    """

    event_id: str
    song: Song
    started_ms: int
    ended_ms: int
    ms_played: int
    is_skipped: bool | None
    reason_start: str | None
    reason_end: str | None
    setting: Setting
    is_measured: bool = True


class Skip(Struct, frozen=True, omit_defaults=True, tag=True):
    """The listener left a track before its end, at `position_ms`."""

    event_id: str
    play: Play
    position_ms: int


class NowPlaying(Struct, frozen=True, omit_defaults=True, tag=True):
    """Another song plays, or the same one from its beginning."""

    event_id: str
    song: Song
    started_ms: int
    setting: Setting


Outcome = Play | Skip | NowPlaying
