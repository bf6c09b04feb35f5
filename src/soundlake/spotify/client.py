"""The Web API for one account: typed answers, refusals as errors, and no call without the request budget's consent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from soundlake.broker.protocol import Clock, read_utc_now
from soundlake.errors import SoundlakeError, Unavailable
from soundlake.spotify.answers import UnreadableAnswer, decode_object, read_answer, read_recent_page
from soundlake.spotify.budget import App, Purpose, RequestBudget
from soundlake.spotify.catalogue import Catalogue, TrackDetails
from soundlake.spotify.errors import AccountMismatch, RequestRefused, ServiceFails
from soundlake.spotify.models import Album, Artist, PlayerState, Profile, RecentPage, Track
from soundlake.spotify.refusals import Reason, Refusal, read_refusal
from soundlake.spotify.tokens import AccessTokens

T = TypeVar("T")

MOST_RECENT = 50
"""The newest plays that Spotify gives; there is no way to older ones."""

_ANSWER_SECONDS = 20.0  # from the request to the end of the answer
_LARGEST_ANSWER = 8 * 2**20  # bytes; a page of 50 tracks takes 180,000


@dataclass(frozen=True)
class PlayerAnswer:
    """One look at the player; `state` is None for the empty answer (204). `at` (UTC) is the middle of the request."""

    at: datetime
    state: PlayerState | None


@dataclass(frozen=True)
class ApiAccess:
    """What the clients of all accounts of one app share."""

    app: App
    http: httpx.AsyncClient
    tokens: AccessTokens
    budget: RequestBudget
    catalogue: Catalogue
    api_url: str = "https://api.spotify.com"
    clock: Clock = read_utc_now


class SpotifyAPIClient:
    """The calls that this project makes for one account.

    Every call raises RateLimited (QuotaExceeded, BudgetSpent), NeedsReauthorization, Forbidden, Unauthorized, AccountMismatch,
    RequestRefused, or Unavailable, and waits for nothing: the error says until when nothing is sent; calls before that raise at once.
    """

    def __init__(self, account: str, access: ApiAccess) -> None:
        self.account, self._access = account, access

    @property
    def app(self) -> App:
        """The app that the account was connected with."""
        return self._access.app

    async def get_profile(self) -> Profile:
        """The account that the token belongs to."""
        return _read(Profile, await self._call("/v1/me", Purpose.HISTORY))

    async def verify_account(self) -> Profile:
        """The profile. Raises AccountMismatch, and parks the account, if the stored token is another account's."""
        profile = await self.get_profile()
        if profile.account != self.account:
            raise await self._park(Refusal(Reason.OTHER_ACCOUNT))
        return profile

    async def get_player(self, *, has_fallback: bool = False) -> PlayerAnswer:
        """What plays where, with device, shuffle and private session.

        With `has_fallback` a call that is not allowed (Forbidden) parks nobody: the caller asks `get_currently_playing` in its place.
        """
        return await self._look("/v1/me/player", spares=_PLAYER_ONLY if has_fallback else ())

    async def get_currently_playing(self) -> PlayerAnswer:
        """What plays, without the device: for tokens that lack the scope of the player."""
        return await self._look("/v1/me/player/currently-playing")

    async def get_recently_played(self, limit: int = MOST_RECENT) -> RecentPage:
        """The newest tracks, at most 50, newest first. It asks without `after`: tracks heard offline arrive late, among older ones."""
        return read_recent_page(_decode(await self._call("/v1/me/player/recently-played", Purpose.HISTORY, limit=str(limit))))

    async def get_track_details(self, track_id: str) -> TrackDetails:
        """A track with its first artist and its album, each asked for once per process; one id a call, as there is no other way."""
        track = await self._access.catalogue.find(Track, track_id, self._look_up)
        artist_id = track.artists[0].id if track.artists else None
        album_id = None if track.album is None else track.album.id
        return TrackDetails(
            track,
            artist=None if artist_id is None else await self._access.catalogue.find(Artist, artist_id, self._look_up),
            album=None if album_id is None else await self._access.catalogue.find(Album, album_id, self._look_up),
        )

    async def _look_up(self, kind: type[T], wanted: str) -> T:
        path = f"/v1/{_LOOK_UPS[kind]}/{quote(wanted, safe='')}"
        return _read(kind, await self._call(path, Purpose.LIVE))

    async def _look(self, path: str, spares: tuple[Reason, ...] = ()) -> PlayerAnswer:
        asked_at = self._access.clock()
        body = await self._call(path, Purpose.LIVE, spares, additional_types="track,episode")
        at = asked_at + (self._access.clock() - asked_at) / 2
        return PlayerAnswer(at, _read(PlayerState, body) if body else None)

    async def _call(self, path: str, purpose: Purpose, spares: tuple[Reason, ...] = (), **query: str) -> bytes:
        """The body of a call. A 401 gets one new token and one more try: valid tokens are refused at times. `spares` park nobody."""
        token = await self._get_token()
        status, headers, body = await self._send(path, purpose, token, query)
        if status == httpx.codes.UNAUTHORIZED:
            token = await self._get_token(refused=token)
            status, headers, body = await self._send(path, purpose, token, query)
        if status in (httpx.codes.OK, httpx.codes.NO_CONTENT):
            return body
        unauthorized = Refusal(Reason.UNAUTHORIZED) if status == httpx.codes.UNAUTHORIZED else None
        if refusal := unauthorized or read_refusal(status, headers, body, self._access.clock()):
            raise refusal.reason.make_error(self.account, None) if refusal.reason in spares else await self._park(refusal)
        if httpx.codes.is_client_error(status) and status != httpx.codes.REQUEST_TIMEOUT:
            raise RequestRefused(path, status)
        raise ServiceFails(path, status)

    async def _send(self, path: str, purpose: Purpose, token: str, query: dict[str, str]) -> tuple[int, httpx.Headers, bytes]:
        await asyncio.to_thread(self._access.budget.take, self._access.app, self.account, purpose)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                asyncio.timeout(_ANSWER_SECONDS),
                self._access.http.stream("GET", f"{self._access.api_url}{path}", params=query, headers=headers) as answer,
            ):
                return answer.status_code, answer.headers, await _read_body(answer)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as cause:
            raise Unavailable(f"Spotify does not answer {path}: {type(cause).__name__}") from None  # the request holds the token

    async def _get_token(self, refused: str | None = None) -> str:
        await asyncio.to_thread(self._access.budget.check, self._access.app, self.account)
        try:
            return await asyncio.to_thread(self._access.tokens.get, self.account, refused=refused)
        except AccountMismatch:
            raise await self._park(Refusal(Reason.OTHER_ACCOUNT)) from None

    async def _park(self, refusal: Refusal) -> SoundlakeError:
        return await asyncio.to_thread(self._access.budget.record_refusal, self._access.app, self.account, refusal)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return decode_object(body)
    except UnreadableAnswer as cause:
        raise Unavailable(f"Spotify's answer is unreadable: {cause}") from None


def _read(kind: type[T], body: bytes) -> T:
    return read_answer(kind, _decode(body))


async def _read_body(answer: httpx.Response) -> bytes:
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > _LARGEST_ANSWER:
            raise Unavailable(f"Spotify's answer is larger than {_LARGEST_ANSWER} bytes")
    return body


_PLAYER_ONLY = (Reason.SCOPE, Reason.UNKNOWN)
"""Refusals of the player that another call may not meet: it needs a scope of its own."""

_LOOK_UPS: dict[type, str] = {Track: "tracks", Artist: "artists", Album: "albums"}
