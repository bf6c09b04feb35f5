"""The redirect address of an app, by Spotify's rules of April 2025."""

from __future__ import annotations

from urllib.parse import urlsplit

from soundlake.errors import SettingsError

DEFAULT_REDIRECT = "http://127.0.0.1:8888/callback"


def check_redirect(redirect_uri: str) -> None:
    """Raises SettingsError for a redirect address that Spotify does not take: it must be https, or http to a loopback address."""
    try:
        parts = urlsplit(redirect_uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if host == "localhost":
        raise SettingsError(
            f"SPOTIFY_REDIRECT_URI={redirect_uri}: Spotify refuses localhost since April 2025",
            next_step=f"write 127.0.0.1 in its place, here and in the app's settings on Spotify's dashboard: {DEFAULT_REDIRECT}",
        )
    is_loopback = parts.scheme == "http" and host in ("127.0.0.1", "::1") and port is not None
    if not (is_loopback or (parts.scheme == "https" and host)):
        raise SettingsError(
            f"SPOTIFY_REDIRECT_URI={redirect_uri}: Spotify takes https, or http with a loopback address and a port",
            next_step=f"set {DEFAULT_REDIRECT}, here and in the app's settings on Spotify's dashboard",
        )
