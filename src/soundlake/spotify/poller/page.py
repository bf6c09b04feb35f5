"""What the page of a listener shows, from what follows an account."""

from __future__ import annotations

from datetime import datetime

from soundlake.cache import NowPlaying
from soundlake.spotify.plays.current import Current
from soundlake.spotify.plays.instants import read_ms


def make_now_playing(listener: str, current: Current, seen_at: datetime) -> NowPlaying:
    """The sighting of a song at `seen_at` (UTC), for the cache."""
    song = current.song
    return NowPlaying(
        listener=listener,
        play_id=current.play_id,
        track_id=song.id,
        track_name=song.name,
        artist_name=song.artist_name,
        album_name=song.album_name,
        image_url=song.image_url,
        content_type=song.content_type,
        device_type=current.setting.device_type,
        duration_ms=song.duration_ms,
        position_ms=current.position_ms,
        is_playing=current.is_playing,
        is_stale=current.is_stale,
        started_at=read_ms(current.started_ms),
        seen_at=seen_at,
    )
