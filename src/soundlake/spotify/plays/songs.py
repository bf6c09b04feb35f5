"""What a player's answer says of the song: the part that events and the state of a listener keep."""

from __future__ import annotations

import re

from msgspec import Struct

from soundlake.contract.record import CONTENT_TYPES
from soundlake.spotify.models import Track

_SAME_LENGTH_MS = 2_000  # releases of one recording differ in length by rounding and silence


class Song(Struct, frozen=True, omit_defaults=True):
    """A track, an episode or a chapter. `id` is null for a local file, `content_type` for a type that is not known."""

    uri: str | None = None
    id: str | None = None
    content_type: str | None = "track"
    name: str | None = None
    artist_id: str | None = None
    artist_name: str | None = None
    album_id: str | None = None
    album_name: str | None = None
    duration_ms: int | None = None
    isrc: str | None = None
    image_url: str | None = None

    @property
    def key(self) -> str:
        """What distinguishes the song: its uri or id; its names where it has neither."""
        return self.uri or self.id or f"{self.artist_name}\x1f{self.album_name}\x1f{self.name}"


def describe_song(track: Track) -> Song:
    """The song of an item of an answer; names and lengths that the answer leaves empty are null."""
    artist = next(iter(track.artists), None)
    album, collection = track.album, track.audiobook or track.show
    images = (album.images if album else ()) or track.images or (collection.images if collection else ())
    return Song(
        uri=track.uri,
        id=track.id,
        content_type=_find_content_type(track),
        name=track.name,
        artist_id=artist.id if artist else collection.id if collection else None,
        artist_name=artist.name if artist else collection.name if collection else None,
        album_id=album.id if album else None,
        album_name=album.name if album else None,
        duration_ms=track.duration_ms if track.duration_ms and track.duration_ms > 0 else None,
        isrc=track.isrc,
        image_url=images[0].url if images else None,
    )


def is_same_song(one: Song, other: Song) -> bool:
    """Whether both are the same item of the service; two local files without a uri are compared by their names."""
    if one.id is not None and other.id is not None:
        return one.id == other.id
    return one.key == other.key


def is_same_recording(one: Song, other: Song) -> bool:
    """Whether two ids may name one recording: the service plays the release of the listener's market (spotify/web-api#1232)."""
    if is_same_song(one, other) or (one.isrc is not None and one.isrc == other.isrc):
        return True
    if one.name is None or other.name is None or one.artist_name != other.artist_name or _fold(one.name) != _fold(other.name):
        return False
    return abs((one.duration_ms or 0) - (other.duration_ms or 0)) <= _SAME_LENGTH_MS


def _find_content_type(track: Track) -> str | None:
    """A chapter of a book may look like an episode (spotify/web-api#1496)."""
    if track.audiobook is not None:
        return "chapter"
    if track.show is not None and track.type == "track":
        return "episode"
    return track.type if track.type in CONTENT_TYPES else None


def _fold(name: str) -> str:
    """A title without what releases write differently: 'Song - Acoustic' and 'Song (Acoustic)'."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name
