"""What the Web API answers, as far as this project uses it.

The field names are Spotify's (https://developer.spotify.com/documentation/web-api), with a unit where Spotify's has none. Each field may be
missing: Spotify's description calls fields required that real answers leave out or set to null. `soundlake.spotify.answers` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, AwareDatetime, BeforeValidator, Field

Text = Annotated[str | None, AfterValidator(lambda text: text or None)]
"""A text; the empty one, which local files have, is null."""

Whole = Annotated[int | None, BeforeValidator(lambda number: int(number) if isinstance(number, float) else number)]
"""A whole number; older answers write it with a fraction: `204053.0`."""


@dataclass(frozen=True, slots=True)
class Image:
    """One size of a cover; `width` and `height` in pixels."""

    url: str
    width: Whole = None
    height: Whole = None


@dataclass(frozen=True, slots=True)
class Artist:
    """An artist; `genres` and `images` come with a look-up by id only."""

    id: Text = None
    uri: Text = None
    name: Text = None
    genres: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Album:
    """An album; `release_date` is a year, a month or a day, as `release_date_precision` says."""

    id: Text = None
    uri: Text = None
    name: Text = None
    album_type: Text = None
    release_date: Text = None
    release_date_precision: Text = None
    total_tracks: Whole = None
    label: Text = None
    artists: tuple[Artist, ...] = ()
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalIds:
    """Ids of other registries."""

    isrc: Text = None


@dataclass(frozen=True, slots=True)
class LinkedFrom:
    """The track that was asked for, where another one of the same recording is played in its place."""

    id: Text = None
    uri: Text = None


@dataclass(frozen=True, slots=True)
class Show:
    """What an episode (a podcast) or a chapter (an audiobook) belongs to."""

    id: Text = None
    uri: Text = None
    name: Text = None
    publisher: Text = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Track:
    """What plays: a track, or with another `type` an episode or a chapter. A local file has no `id`, and a `uri` of its own kind."""

    id: Text = None
    uri: Text = None
    type: str = "track"
    name: Text = None
    duration_ms: Whole = None
    explicit: bool | None = None
    is_local: bool = False
    is_playable: bool | None = None
    track_number: Whole = None
    disc_number: Whole = None
    artists: tuple[Artist, ...] = ()
    album: Album | None = None
    external_ids: ExternalIds | None = None
    linked_from: LinkedFrom | None = None
    show: Show | None = None
    audiobook: Show | None = None
    images: tuple[Image, ...] = ()

    @property
    def isrc(self) -> str | None:
        """The recording's ISRC, the same for each release of it."""
        return None if self.external_ids is None else self.external_ids.isrc


@dataclass(frozen=True, slots=True)
class Device:
    """Where it plays; multi-room speakers have no `id`."""

    id: Text = None
    name: Text = None
    type: Text = None
    is_active: bool | None = None
    is_private_session: bool = False
    is_restricted: bool | None = None
    volume_percent: Whole = None


@dataclass(frozen=True, slots=True)
class Context:
    """What it is played from: an album, an artist, a playlist, the collection, a show."""

    type: Text = None
    uri: Text = None


@dataclass(frozen=True, slots=True)
class PlayerState:
    """One answer of `/me/player` or of `/me/player/currently-playing`, which has no device, shuffle and repeat.

    `item` is null in adverts and between songs; `progress_ms` may be null, not move, or run past the end. `timestamp_ms` is the time of
    the last change of state, not of the answer (spotify/web-api#640): nothing is computed from it.
    """

    is_playing: bool = False
    item: Track | None = None
    progress_ms: Whole = None
    timestamp_ms: Annotated[Whole, Field(validation_alias=AliasChoices("timestamp", "timestamp_ms"))] = None
    currently_playing_type: Text = None
    device: Device | None = None
    context: Context | None = None
    shuffle_state: bool | None = None
    repeat_state: Text = None

    @property
    def is_private(self) -> bool:
        """Whether the listener is in a private session: nothing of the answer may be kept."""
        return self.device is not None and self.device.is_private_session


@dataclass(frozen=True, slots=True)
class RecentItem:
    """One track of recently-played; `played_at` (UTC) is mostly its end. There is no time heard and no device."""

    track: Track
    played_at: AwareDatetime
    context: Context | None = None


@dataclass(frozen=True, slots=True)
class RecentPage:
    """The newest tracks of an account, at most 50; `unreadable` counts entries without a track or without a time."""

    items: tuple[RecentItem, ...] = ()
    unreadable: int = 0

    @property
    def entries(self) -> int:
        """How many entries the answer had."""
        return len(self.items) + self.unreadable


@dataclass(frozen=True, slots=True)
class Profile:
    """The account that a token belongs to; `account_id` is the id to link by, `id` the user name where there is none."""

    id: Text = None
    account_id: Text = None
    display_name: Text = None
    product: Text = None

    @property
    def account(self) -> str | None:
        """The id of the account."""
        return self.account_id or self.id
