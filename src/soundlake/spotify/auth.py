"""Spotify's authorization: the address to sign in at, and the two calls that give tokens.

Authorization code with state and PKCE (RFC 6749 §4.1, RFC 7636), with the client secret where there is one. The calls are synchronous: they
are made under a lock between processes (soundlake.spotify.tokens).
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from soundlake.broker.protocol import Clock, read_utc_now
from soundlake.errors import SettingsError, SoundlakeError, Unavailable
from soundlake.spotify.answers import UnreadableAnswer, decode_object
from soundlake.spotify.errors import RateLimited, SignInRefused
from soundlake.spotify.redirect import DEFAULT_REDIRECT, check_redirect
from soundlake.spotify.refusals import read_retry_after

SCOPES = ("user-read-recently-played", "user-read-currently-playing", "user-read-playback-state")
"""The least that history and live listening need; nothing may be changed with them."""

_TOKEN_SECONDS = 3_600  # where the answer does not say how long its token lasts
_BACKOFF = timedelta(seconds=60)  # where a 429 of the accounts host names no wait


class InvalidGrant(SoundlakeError):
    """Spotify refuses a code or a refresh token; `soundlake.spotify.tokens` decides what that means."""


@dataclass(frozen=True)
class SignIn:
    """One sign-in that was started: what proves that its answer belongs to it."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)

    @property
    def challenge(self) -> str:
        """The challenge of PKCE, method S256."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Grant:
    """An answer with tokens; no `refresh_token` and no `scopes` mean that those before are still valid."""

    access_token: str = field(repr=False)
    expires_in: timedelta
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()


class SpotifyAuth:
    """The accounts host, for one app. Raises SettingsError for a missing app or a redirect address that Spotify refuses."""

    def __init__(
        self,
        http: httpx.Client,
        client_id: str,
        *,
        client_secret: str = "",
        redirect_uri: str = DEFAULT_REDIRECT,
        accounts_url: str = "https://accounts.spotify.com",
        clock: Clock = read_utc_now,
    ) -> None:
        if not client_id:
            raise SettingsError(
                "SPOTIFY_CLIENT_ID is not set",
                next_step=f"make an app on developer.spotify.com/dashboard with the redirect address {redirect_uri}, set its client id",
            )
        check_redirect(redirect_uri)
        self._http, self._client_id, self._secret, self._clock = http, client_id, client_secret, clock
        self.redirect_uri, self.accounts_url = redirect_uri, accounts_url.rstrip("/")

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SpotifyAuth({self._client_id!r}, redirect_uri={self.redirect_uri!r})"

    def get_authorization_url(self, sign_in: SignIn) -> str:
        """The page on which the listener allows the app to read."""
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(SCOPES),
            "state": sign_in.state,
            "code_challenge_method": "S256",
            "code_challenge": sign_in.challenge,
            "show_dialog": "true",  # a second account of one household: the page names who is signed in
        }
        return f"{self.accounts_url}/authorize?{urlencode(query)}"

    def get_access_token(self, sign_in: SignIn, redirected: str) -> Grant:
        """Exchange the code in the address that Spotify redirected to. Raises SignInRefused if it is not this sign-in's answer."""
        code = read_code(sign_in, redirected)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self._client_id,
            "code_verifier": sign_in.verifier,
        }
        try:
            grant = self._ask(form)
        except InvalidGrant as cause:
            raise SignInRefused(f"Spotify refuses the code of this sign-in: {cause.message}", next_step="begin again") from cause
        if grant.refresh_token is None:
            raise SignInRefused("Spotify gave no refresh token with this sign-in", next_step="begin again")
        return grant

    def refresh_access_token(self, refresh_token: str) -> Grant:
        """A new access token. Raises InvalidGrant, RateLimited, Unavailable, or SettingsError if the app itself is refused."""
        return self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self._client_id})

    def _ask(self, form: dict[str, str]) -> Grant:
        credentials = httpx.BasicAuth(self._client_id, self._secret) if self._secret else httpx.USE_CLIENT_DEFAULT
        try:
            answer = self._http.post(f"{self.accounts_url}/api/token", data=form, auth=credentials)
        except (httpx.HTTPError, httpx.StreamError) as cause:
            raise Unavailable(f"Spotify's accounts host does not answer: {type(cause).__name__}") from None  # the request holds tokens
        if answer.status_code == httpx.codes.OK:
            return _read_grant(answer.content)
        raise _read_error(answer, self._clock())


def read_code(sign_in: SignIn, redirected: str) -> str:
    """The code in a redirected address. Raises SignInRefused for another sign-in's state, a denial, or an address without a code."""
    query = parse_qs(urlsplit(redirected.strip()).query)
    given = {name: values[0] for name, values in query.items()}
    if not secrets.compare_digest(given.get("state", "").encode(), sign_in.state.encode()):
        raise SignInRefused(
            "the redirected address does not belong to this sign-in: its state differs",
            next_step="paste the whole address of the page that this sign-in ended on, or begin again",
        )
    if "error" in given:
        raise SignInRefused(f"Spotify did not grant access: {given['error'][:_LONGEST_SHOWN]}", next_step="begin again, and choose Agree")
    if "code" not in given:
        raise SignInRefused("the redirected address holds no code", next_step="paste the whole address, from http to its end")
    return given["code"]


def _read_grant(body: bytes) -> Grant:
    try:
        answer = decode_object(body)
    except UnreadableAnswer as cause:
        raise Unavailable(f"Spotify's accounts host gives no token: {cause}") from None
    token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not (isinstance(token, str) and token):
        raise Unavailable("Spotify's accounts host answers without an access token")
    lasts = seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0 else _TOKEN_SECONDS
    return Grant(token, timedelta(seconds=lasts), _read_text(answer, "refresh_token"), tuple((_read_text(answer, "scope") or "").split()))


def _read_error(answer: httpx.Response, now: datetime) -> SoundlakeError:
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return RateLimited(now + (read_retry_after(answer.headers, now) or _BACKOFF), "Spotify limits the refreshes of this app")
    try:
        given = decode_object(answer.content)
    except UnreadableAnswer:
        given = {}
    error, what = _read_text(given, "error"), _read_text(given, "error_description") or "no reason is given"
    if error == "invalid_grant":
        return InvalidGrant(what[:_LONGEST_SHOWN])
    if error in ("invalid_client", "unauthorized_client"):
        return SettingsError(
            f"Spotify refuses the app itself: {error}", next_step="compare SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET with the dashboard"
        )
    return Unavailable(f"Spotify's accounts host answers {answer.status_code} {error or ''}".rstrip())


def _read_text(answer: dict[str, Any], name: str) -> str | None:
    """A member that is a text and not empty."""
    value = answer.get(name)
    return value if isinstance(value, str) and value else None


_LONGEST_SHOWN = 200
