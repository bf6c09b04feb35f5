"""Links to tracks on Spotify."""

from __future__ import annotations

import re
from urllib.parse import quote

_SPOTIFY_ID = re.compile(r"[0-9A-Za-z]{22}")


def find_spotify_link(track_id: str | None, track_name: str | None, artist_name: str | None, *, is_synthetic: bool) -> str | None:
    """The address of a track: the track itself by its id, else a search for it; None for a synthetic or nameless one.

    A Spotify id is 22 characters of base 62 (Spotify's Web API documentation, "Spotify URIs and IDs").
    """
    if is_synthetic:
        return None
    if track_id and _SPOTIFY_ID.fullmatch(track_id):
        return f"https://open.spotify.com/track/{track_id}"
    words = " ".join(word for word in (artist_name, track_name) if word)
    return f"https://open.spotify.com/search/{quote(words, safe='')}" if track_name else None
