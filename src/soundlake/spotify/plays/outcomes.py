"""What following an account gives: plays, skips and changes of the song that plays now."""

from __future__ import annotations

from dataclasses import dataclass

from soundlake.spotify.plays.songs import Song


@dataclass(frozen=True)
class Setting:
    """How a song was played: device, shuffle and context; null where the answers did not say."""

    device_type: str | None = None
    platform: str | None = None
    is_shuffle: bool | None = None
    context_uri: str | None = None


@dataclass(frozen=True)
class Play:
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


@dataclass(frozen=True)
class Skip:
    """The listener left a track before its end, at `position_ms`."""

    event_id: str
    play: Play
    position_ms: int


@dataclass(frozen=True)
class NowPlaying:
    """Another song plays, or the same one from its beginning."""

    event_id: str
    song: Song
    started_ms: int
    setting: Setting


Outcome = Play | Skip | NowPlaying
