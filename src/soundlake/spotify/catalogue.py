"""Tracks, artists and albums that were looked up, kept while the process runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from soundlake.spotify.models import Album, Artist, Track

T = TypeVar("T")


@dataclass(frozen=True)
class TrackDetails:
    """A track with its first artist and its album; local files have neither."""

    track: Track
    artist: Artist | None
    album: Album | None


class Catalogue:
    """The newest `size` look-ups, shared by all accounts. They stay in memory: Spotify's terms allow no lasting copy."""

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._found: OrderedDict[tuple[type, str], Any] = OrderedDict()

    async def find(self, kind: type[T], wanted: str, look_up: Callable[[type[T], str], Awaitable[T]]) -> T:
        """What was looked up before, or what `look_up` gives."""
        key = (kind, wanted)
        if key not in self._found:
            self._found[key] = await look_up(kind, wanted)
            if len(self._found) > self._size:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        found: T = self._found[key]
        return found
