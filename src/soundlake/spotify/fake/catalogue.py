"""The music of the fake, and how the Web API describes it in development mode: no popularity, followers, markets or previews."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from soundlake.contract.record import GENERATED_ID_PREFIX

API_URL = "https://api.spotify.com/v1"
_OPEN_URL = "https://open.spotify.com"
_IMAGE_SIZES = (640, 300, 64)
_RELINKED_PREFIX = f"{GENERATED_ID_PREFIX}relinked_"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FakeTrack:
    """A track, or an episode of a podcast (its show is the album). `known_isrc` is null for a made-up one, empty for none."""

    id: str
    name: str
    duration_ms: int
    artist_id: str
    artist_name: str
    album_id: str
    album_name: str
    type: Literal["track", "episode"] = "track"
    known_isrc: str | None = None

    @property
    def uri(self) -> str:
        """Spotify's address of it."""
        return f"spotify:{self.type}:{self.id}"

    @property
    def isrc(self) -> str:
        """The ISRC; a made-up one is the same for each id of the recording (the registrant code QZZ is made up too)."""
        if self.known_isrc is not None:
            return self.known_isrc
        return f"QZZZZ26{digest(f'{self.artist_name}/{self.name}') % 100_000:05d}"

    @property
    def number(self) -> int:
        """Its place on the album, made up."""
        return 1 + digest(self.id) % 12


class FakeCatalogue:
    """What look-ups and searches find. `base_url` is where the pictures are."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._tracks: dict[str, FakeTrack] = {}
        self._of_album: dict[str, list[FakeTrack]] = {}
        self._of_artist: dict[str, FakeTrack] = {}

    def add(self, tracks: Iterable[FakeTrack]) -> None:
        """Add tracks; those that it has stay."""
        for track in tracks:
            if track.id in self._tracks:
                continue
            self._tracks[track.id] = track
            self._of_album.setdefault(track.album_id, []).append(track)
            self._of_artist.setdefault(track.artist_id, track)

    def find_track(self, track_id: str) -> FakeTrack | None:
        """The track with this id, or with this one in another market."""
        return self._tracks.get(track_id.removeprefix(_RELINKED_PREFIX))

    def search(self, text: str) -> list[FakeTrack]:
        """The tracks whose title, artist and album have all these words, without case."""
        words = set(text.casefold().split())
        return [one for one in self._tracks.values() if words <= _list_words(one)]

    def describe_track(self, track: FakeTrack) -> Json:
        """A TrackObject, or an EpisodeObject."""
        if track.type == "episode":
            return self._describe_episode(track)
        return {
            "album": self._describe_simple_album(track),
            "artists": [describe_simple_artist(track)],
            "disc_number": 1,
            "duration_ms": track.duration_ms,
            "explicit": False,
            "external_ids": {"isrc": track.isrc} if track.isrc else {},
            "external_urls": {"spotify": f"{_OPEN_URL}/track/{track.id}"},
            "href": f"{API_URL}/tracks/{track.id}",
            "id": track.id,
            "is_local": False,
            "is_playable": True,
            "name": track.name,
            "preview_url": None,
            "track_number": track.number,
            "type": "track",
            "uri": track.uri,
        }

    def describe_album(self, album_id: str) -> Json | None:
        """An AlbumObject with its tracks."""
        tracks = self._of_album.get(album_id)
        if tracks is None:
            return None
        full = [self.describe_track(one) for one in tracks]
        simple = [{name: value for name, value in one.items() if name not in ("album", "external_ids")} for one in full]
        href = f"{API_URL}/albums/{album_id}/tracks?offset=0&limit=50"
        page = {"href": href, "limit": 50, "next": None, "offset": 0, "previous": None, "total": len(simple), "items": simple[:50]}
        return {
            **self._describe_simple_album(tracks[0]),
            "copyrights": [],
            "external_ids": {},
            "genres": [],
            "label": "Made up",
            "tracks": page,
        }

    def describe_artist(self, artist_id: str) -> Json | None:
        """An ArtistObject."""
        track = self._of_artist.get(artist_id)
        return None if track is None else {**describe_simple_artist(track), "genres": [], "images": self.list_images(artist_id)}

    def list_images(self, image_id: str) -> list[Json]:
        """The three sizes of a picture."""
        return [{"url": f"{self.base_url}/image/{image_id}/{size}", "height": size, "width": size} for size in _IMAGE_SIZES]

    def _describe_simple_album(self, track: FakeTrack) -> Json:
        return {
            "album_type": "album",
            "artists": [describe_simple_artist(track)],
            "external_urls": {"spotify": f"{_OPEN_URL}/album/{track.album_id}"},
            "href": f"{API_URL}/albums/{track.album_id}",
            "id": track.album_id,
            "images": self.list_images(track.album_id),
            "name": track.album_name,
            "release_date": f"{1970 + digest(track.album_id) % 55}",
            "release_date_precision": "year",
            "total_tracks": len(self._of_album.get(track.album_id, (track,))),
            "type": "album",
            "uri": f"spotify:album:{track.album_id}",
        }

    def _describe_episode(self, track: FakeTrack) -> Json:
        show = {
            "copyrights": [],
            "description": track.album_name,
            "html_description": track.album_name,
            "explicit": False,
            "external_urls": {"spotify": f"{_OPEN_URL}/show/{track.album_id}"},
            "href": f"{API_URL}/shows/{track.album_id}",
            "id": track.album_id,
            "images": self.list_images(track.album_id),
            "is_externally_hosted": False,
            "languages": ["en"],
            "media_type": "audio",
            "name": track.album_name,
            "publisher": track.artist_name,
            "total_episodes": 1,
            "type": "show",
            "uri": f"spotify:show:{track.album_id}",
        }
        return {
            "description": track.name,
            "html_description": track.name,
            "duration_ms": track.duration_ms,
            "explicit": False,
            "external_urls": {"spotify": f"{_OPEN_URL}/episode/{track.id}"},
            "href": f"{API_URL}/episodes/{track.id}",
            "id": track.id,
            "images": self.list_images(track.album_id),
            "is_externally_hosted": False,
            "is_playable": True,
            "languages": ["en"],
            "name": track.name,
            "release_date": "2026-01-01",
            "release_date_precision": "day",
            "resume_point": {"fully_played": False, "resume_position_ms": 0},
            "show": show,
            "type": "episode",
            "uri": track.uri,
        }


def relink(track_id: str) -> str:
    """The id under which another market has a track."""
    return f"{_RELINKED_PREFIX}{track_id}"


def describe_simple_artist(track: FakeTrack) -> Json:
    """A SimplifiedArtistObject."""
    return {
        "external_urls": {"spotify": f"{_OPEN_URL}/artist/{track.artist_id}"},
        "href": f"{API_URL}/artists/{track.artist_id}",
        "id": track.artist_id,
        "name": track.artist_name,
        "type": "artist",
        "uri": f"spotify:artist:{track.artist_id}",
    }


def digest(text: str) -> int:
    """A number that depends on the text only."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big")


def _list_words(track: FakeTrack) -> set[str]:
    return set(f"{track.name} {track.artist_name} {track.album_name}".casefold().split())
