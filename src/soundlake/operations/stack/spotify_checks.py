"""Checks of the app at Spotify and of the tokens on this machine; nothing is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from soundlake.errors import SettingsError
from soundlake.operations.servers.ports import is_free
from soundlake.operations.stack.findings import Finding, Verdict, run_check
from soundlake.settings import Settings, locate_variable
from soundlake.spotify.redirect import check_redirect

_ID = re.compile(r"[0-9a-f]{32}")
"""The form of client ids and secrets on Spotify's dashboard."""
_OTHERS = 0o077
_ACCOUNTS = Path("spotify", "accounts")


def check_spotify(settings: Settings, stack_home: Path) -> Iterator[Finding]:
    """The app's settings where one is set, and the files of tokens of both homes: the stack's and the one beside it."""
    if settings.spotify.client_id:
        yield run_check("Spotify's app", lambda: _check_client_id(settings.spotify.client_id))
        yield run_check("Spotify's redirect address", lambda: _check_redirect(settings.spotify.redirect_uri))
        yield _check_secret(settings)
        if (port := _find_port(settings.spotify.redirect_uri)) is not None:
            yield _check_callback_port(port)
    else:
        yield Finding("Spotify's app", Verdict.THERE, "SPOTIFY_CLIENT_ID is not set: `--spotify` collects from a fake Spotify")
    yield _check_token_files({stack_home, stack_home.parent, settings.home_folder})


def _check_client_id(client_id: str) -> str:
    if not _ID.fullmatch(client_id):
        raise SettingsError(
            f"SPOTIFY_CLIENT_ID={client_id}: not a client id, which has 32 digits and letters from a to f",
            next_step="copy it from the app's settings on developer.spotify.com/dashboard",
        )
    return f"{client_id}; its owner needs Premium, and its users are on the list under User Management"


def _check_redirect(redirect_uri: str) -> str:
    check_redirect(redirect_uri)
    return f"{redirect_uri}; the app has to have exactly this one"


def _check_secret(settings: Settings) -> Finding:
    name, secret = "proof of Spotify's sign-in", settings.spotify.client_secret.get_secret_value()
    if not secret:
        return Finding(name, Verdict.THERE, "PKCE; SPOTIFY_CLIENT_SECRET is not needed")
    if not _ID.fullmatch(secret):
        remedy = "copy it from the app's settings, or leave it empty: PKCE alone is enough"
        return Finding(name, Verdict.MISSING, "SPOTIFY_CLIENT_SECRET is no client secret, which has 32 digits and letters up to f", remedy)
    place = locate_variable("SPOTIFY_CLIENT_SECRET", settings.home_folder)
    file = Path(place) if place and Path(place).is_file() else None
    if file is not None and file.stat().st_mode & _OTHERS:
        return Finding(name, Verdict.LACKING, f"the secret is in {file}, which others can read", f"chmod 600 {file}")
    return Finding(name, Verdict.THERE, f"PKCE and the client secret (from {place or 'the settings'})")


def _find_port(redirect_uri: str) -> int | None:
    """The port that the sign-in listens on; None where the redirect address is not on this machine."""
    with suppress(ValueError):
        parts = urlsplit(redirect_uri)
        return parts.port if parts.scheme == "http" else None
    return None


def _check_callback_port(port: int) -> Finding:
    name = "port of Spotify's sign-in"
    if is_free(port):
        return Finding(name, Verdict.THERE, f"{port} is free")
    remedy = "stop the program that listens there, or sign in by `soundlake spotify login --paste`"
    return Finding(name, Verdict.LACKING, f"{port} is taken", remedy)


def _check_token_files(homes: set[Path]) -> Finding:
    name = "files of Spotify's tokens"
    files = sorted(path for home in homes for path in (home / _ACCOUNTS).glob("*.json"))
    open_ones = [path for path in files if path.stat().st_mode & _OTHERS]
    if open_ones:
        named = " ".join(map(str, open_ones))
        return Finding(name, Verdict.MISSING, f"others can read {named}", f"chmod 600 {named}")
    return Finding(name, Verdict.THERE, f"{len(files)}, readable for their owner only" if files else "no account is connected yet")
