"""The calls of the Web API that this project uses, in development mode: one id a call, ten results of a search."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from soundlake.spotify.fake.accounts import FakeAccount, FakeApp
from soundlake.spotify.fake.catalogue import API_URL, Json, describe_simple_artist
from soundlake.spotify.fake.grants import Token
from soundlake.spotify.fake.history_answers import describe_history
from soundlake.spotify.fake.history_faults import HISTORY_FAULTS, LATE_LIST, LISTED_TWICE
from soundlake.spotify.fake.messages import (
    NOT_REGISTERED,
    OWNER_NEEDS_PREMIUM,
    Answer,
    Refusal,
    Request,
    answer_error,
    answer_json,
    answer_text,
)
from soundlake.spotify.fake.player_answers import describe_currently_playing, describe_player
from soundlake.spotify.fake.player_faults import PLAYER_FAULTS, Moment

if TYPE_CHECKING:
    from soundlake.spotify.fake.faults import Fault
    from soundlake.spotify.fake.service import FakeSpotify

PLAYER, CURRENTLY_PLAYING, RECENTLY_PLAYED = "/v1/me/player", "/v1/me/player/currently-playing", "/v1/me/player/recently-played"
PLAYER_PATHS = (PLAYER, CURRENTLY_PLAYING)
_SEARCH_LIMIT = 10
_LATE_LIST_SECONDS = 600
_SCOPES = {
    PLAYER: {"user-read-playback-state"},
    CURRENTLY_PLAYING: {"user-read-currently-playing", "user-read-playback-state"},
    RECENTLY_PLAYED: {"user-read-recently-played"},
}
_LOOK_UP = re.compile(r"/v1/(tracks|albums|artists)/([^/]+)")
_REMOVED = re.compile(
    r"/v1/(tracks|albums|artists|audio-features|audio-analysis|recommendations|browse/.*|artists/[^/]+/(top-tracks|related-artists))"
)


def authorize(fake: FakeSpotify, request: Request) -> tuple[FakeApp, FakeAccount, Token]:
    """Who asks by which app. Raises Refusal: 401 for the token, 403 for a listener or an app that may not."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        raise Refusal(answer_error(401, "No token provided"))
    token = fake.grants.read(text, "access", fake.clock.now_ms)
    if token == "expired":  # noqa: S105  # the reason why it is refused
        raise Refusal(answer_error(401, "The access token expired"))
    if isinstance(token, str) or token.client_id not in fake.apps or token.account not in fake.accounts:
        raise Refusal(answer_error(401, "Invalid access token"))
    app, account = fake.apps[token.client_id], fake.accounts[token.account]
    if app.allow_list is not None and account.user_id not in app.allow_list:
        raise Refusal(answer_text(NOT_REGISTERED, 403))
    if not app.owner_has_premium:
        raise Refusal(answer_text(OWNER_NEEDS_PREMIUM, 403))
    return app, account, token


def call(fake: FakeSpotify, request: Request, account: FakeAccount, token: Token, faults: Sequence[Fault] = ()) -> Json | None:
    """The answer's object, None for 204. Raises Refusal: 403 for a missing scope or a removed call, 404 for an unknown one."""
    path = request.path
    if not _SCOPES.get(path, {""}) & {*token.scope.split(), ""}:
        raise Refusal(answer_error(403, "Insufficient client scope"))
    if (handler := _CALLS.get(path)) is not None:
        return handler(fake, request, account, faults)
    if (found := _LOOK_UP.fullmatch(path)) is not None:
        return _look_up(fake, *found.groups())
    if _REMOVED.fullmatch(path):
        raise Refusal(answer_error(403, "Forbidden"))
    raise Refusal(answer_error(404, "Service not found"))


def answer_object(body: Json | None) -> Answer:
    """The answer of a call: 200, or 204 with an empty body."""
    return Answer(204) if body is None else answer_json(body)


def _describe_profile(_: FakeSpotify, __: Request, account: FakeAccount, ___: Sequence[Fault]) -> Json:
    return {
        "account_id": account.account_id,
        "display_name": account.display_name,
        "external_urls": {"spotify": f"https://open.spotify.com/user/{account.user_id}"},
        "href": f"{API_URL}/users/{account.user_id}",
        "id": account.user_id,
        "images": [],
        "type": "user",
        "uri": f"spotify:user:{account.user_id}",
    }


def _describe_player(fake: FakeSpotify, request: Request, account: FakeAccount, faults: Sequence[Fault]) -> Json | None:
    now_ms = fake.clock.now_ms
    segment, before = account.timeline.find(now_ms)
    body = describe_player(segment, now_ms, fake.catalogue)
    for fault in faults:
        moment = Moment(segment, before, account.timeline.find_last_run(now_ms), now_ms, fake.catalogue, fault.details)
        body = PLAYER_FAULTS[fault.kind](body, moment)
    is_episode = body is not None and body.get("item") is not None and body["item"]["type"] != "track"
    if body is not None and is_episode and "episode" not in request.query.get("additional_types", ""):
        body["item"] = None  # an episode is shown to a client only that says it knows them
    return body


def _describe_currently_playing(fake: FakeSpotify, request: Request, account: FakeAccount, faults: Sequence[Fault]) -> Json | None:
    body = _describe_player(fake, request, account, faults)
    return None if body is None else describe_currently_playing(body)


def _describe_history(fake: FakeSpotify, request: Request, account: FakeAccount, faults: Sequence[Fault]) -> Json:
    of_kind = {fault.kind: fault for fault in faults}
    late_s = float(of_kind[LATE_LIST].details.get("seconds", _LATE_LIST_SECONDS)) if LATE_LIST in of_kind else 0.0
    listings = account.timeline.list_history(fake.clock.now_ms - round(late_s * 1_000), with_repeats=LISTED_TWICE in of_kind)
    body = describe_history(listings, request.query, fake.catalogue)
    for fault in faults:
        body = HISTORY_FAULTS[fault.kind](body, fault.details)
    return body


def _look_up(fake: FakeSpotify, kind: str, wanted: str) -> Json:
    catalogue = fake.catalogue
    if kind == "tracks":
        track = catalogue.find_track(wanted)
        found = None if track is None else catalogue.describe_track(track)
    else:
        found = catalogue.describe_album(wanted) if kind == "albums" else catalogue.describe_artist(wanted)
    if found is None:
        raise Refusal(answer_error(404, "Resource not found"))
    return found


def _search(fake: FakeSpotify, request: Request, _: FakeAccount, __: Sequence[Fault]) -> Json:
    query = request.query
    text, kinds = query.get("q", ""), query.get("type", "").split(",")
    limit, offset = _read_bounded(query.get("limit", "5"), _SEARCH_LIMIT), _read_bounded(query.get("offset", "0"), 1_000)
    if not text:
        raise Refusal(answer_error(400, "No search query"))
    tracks = fake.catalogue.search(re.sub(r"\b(track|artist|album):", "", text))
    results: dict[str, list[Any]] = {}
    if "track" in kinds:
        results["tracks"] = [fake.catalogue.describe_track(one) for one in tracks]
    if "artist" in kinds:
        results["artists"] = [describe_simple_artist(one) for one in {one.artist_id: one for one in tracks}.values()]
    if not results:
        raise Refusal(answer_error(400, "Bad search type field"))
    href = f"{API_URL}/search?offset={offset}&limit={limit}"
    return {
        kind: {
            "href": href, "limit": limit, "offset": offset, "previous": None, "total": len(found), "items": found[offset : offset + limit],
            "next": f"{API_URL}/search?offset={offset + limit}&limit={limit}" if offset + limit < len(found) else None,
        }
        for kind, found in results.items()
    }  # fmt: skip


def _read_bounded(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise Refusal(answer_error(400, "Invalid limit"))
    return int(text)


_CALLS: dict[str, Callable[[FakeSpotify, Request, FakeAccount, Sequence[Fault]], Json | None]] = {
    "/v1/me": _describe_profile,
    PLAYER: _describe_player,
    CURRENTLY_PLAYING: _describe_currently_playing,
    RECENTLY_PLAYED: _describe_history,
    "/v1/search": _search,
}
