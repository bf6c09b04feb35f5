"""What each listener plays in this second: the newest sighting, from which a page computes the progress; in Redis or in a file."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from soundlake.local_files import write_file

KEPT_FOR = timedelta(minutes=15)
"""How long a sighting counts: an account that plays is asked again within five minutes, also when calls run out."""


class NowPlaying(Struct, frozen=True, omit_defaults=True):
    """What a listener played at `seen_at` (UTC). `is_stale`: its end has passed, or the newest answers did not show it.

    `play_id` is the id of the play that this becomes; `image_url` is the cover, as the service delivers it.
    """

    listener: str
    play_id: str
    track_id: str | None
    track_name: str | None
    artist_name: str | None
    album_name: str | None
    image_url: str | None
    content_type: str | None
    device_type: str | None
    duration_ms: int | None
    position_ms: int
    is_playing: bool
    is_stale: bool
    started_at: datetime
    seen_at: datetime

    def find_position_ms(self, now: datetime) -> int:
        """The position at `now`, at most the duration."""
        moved = max(0, round((now - self.seen_at).total_seconds() * 1_000)) if self.is_playing else 0
        position = self.position_ms + moved
        return position if self.duration_ms is None else min(position, self.duration_ms)

    def is_current(self, now: datetime) -> bool:
        """Whether the sighting still counts."""
        return now - self.seen_at < KEPT_FOR


class NowPlayingStore(Protocol):
    """Keeps the newest sighting of each listener. Every method may raise Unavailable or OSError."""

    def write(self, playing: NowPlaying) -> None:
        """Keep it in place of the listener's last one."""

    def delete(self, listener: str) -> None:
        """Forget what a listener plays: nothing plays, or nobody may know."""

    def read(self, listener: str, now: datetime) -> NowPlaying | None:
        """What a listener plays; None if nothing does, or the last sighting is older than KEPT_FOR."""


class FileNowPlayingStore:
    """One file a listener in `folder`, for deployments without Redis: poller and page are two processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, playing: NowPlaying) -> None:
        """Keep it in place of the listener's last one."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(self.find_path(playing.listener), msgspec.json.encode(playing).decode(), is_private=True)

    def delete(self, listener: str) -> None:
        """Forget what a listener plays."""
        self.find_path(listener).unlink(missing_ok=True)

    def read(self, listener: str, now: datetime) -> NowPlaying | None:
        """What a listener plays; a file that is missing or unreadable is nothing."""
        try:
            found = msgspec.json.decode(self.find_path(listener).read_bytes(), type=NowPlaying)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return found if found.is_current(now) else None

    def find_path(self, listener: str) -> Path:
        """The file of a listener, whose name may hold anything."""
        return self._folder / f"{hashlib.sha256(listener.encode()).hexdigest()[:24]}.json"
