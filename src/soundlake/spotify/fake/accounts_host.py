"""The accounts host: the page that asks for consent, and the token endpoint (RFC 6749 and 7636, as Spotify keeps them)."""

from __future__ import annotations

import base64
import binascii
from html import escape
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode

import orjson

from soundlake.spotify.fake.accounts import FakeApp, explain_insecure_redirect
from soundlake.spotify.fake.grants import ACCESS_TOKEN_SECONDS, CODE_SECONDS, Code, Token, check_challenge
from soundlake.spotify.fake.messages import Answer, Refusal, Request, answer_json, answer_text

if TYPE_CHECKING:
    from soundlake.spotify.fake.service import FakeSpotify

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fake Spotify: sign in</title>
<body style="font-family:sans-serif;max-width:30em;margin:4em auto">
<h1>Fake Spotify</h1><p>The app <b>{app}</b> asks for: {scope}.</p>
<form method="post"><p><label>Account <select name="account">{accounts}</select></label></p>
<button name="decision" value="allow">Allow</button> <button name="decision" value="cancel">Cancel</button></form></body></html>"""


def show_consent(fake: FakeSpotify, request: Request) -> Answer:
    """GET /authorize: the page with the Allow button. A wrong app or address is answered on the page, other mistakes by redirect."""
    app = _check_client(fake, request)
    if (mistake := _find_mistake(request)) is not None:
        return _redirect(request, error=mistake)
    accounts = "".join(f"<option>{escape(user_id)}</option>" for user_id in fake.accounts)
    scope = escape(request.query.get("scope", "") or "your name")
    return answer_text(_PAGE.format(app=escape(app.client_id), scope=scope, accounts=accounts), kind="text/html")


def take_decision(fake: FakeSpotify, request: Request) -> Answer:
    """POST /authorize: the pressed button; redirects with a code, or with `access_denied`."""
    app = _check_client(fake, request)
    if (mistake := _find_mistake(request)) is not None:
        return _redirect(request, error=mistake)
    form, query = request.form, request.query
    if form.get("decision") != "allow":
        return _redirect(request, error="access_denied")
    account = form.get("account") or next(iter(fake.accounts), "")
    if account not in fake.accounts:
        return answer_text(f"no account {account}", 400)
    code = fake.grants.issue_code(
        Code(account, app.client_id, query["redirect_uri"], query.get("scope", ""), query.get("code_challenge"), fake.clock.now_ms)
    )
    return _redirect(request, code=code)


def give_token(fake: FakeSpotify, request: Request) -> Answer:
    """POST /api/token: exchange of a code, or a refresh."""
    form = request.form
    app, has_secret = _authenticate(fake, request, form)
    grant = form.get("grant_type")
    if grant not in ("authorization_code", "refresh_token"):
        refuse("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
    return (_exchange if grant == "authorization_code" else _refresh)(fake, app, form, has_secret=has_secret)


def sign_in(fake: FakeSpotify, account: str, app: FakeApp, scope: str) -> dict[str, Any]:
    """The answer that an app gets when this account has pressed Allow: both tokens, without the pages in between."""
    base = Token("refresh", account, app.client_id, scope, fake.clock.now_ms, 0, 0, uses_pkce=True)
    refresh_token, _ = fake.grants.issue("refresh", base, fake.clock.now_ms)
    return dict(orjson.loads(_answer_tokens(fake, base, refresh_token).body))


def refuse(error: str, description: str | None = None) -> NoReturn:
    """Raises Refusal with an error of the token endpoint."""
    raise Refusal(answer_json({"error": error} if description is None else {"error": error, "error_description": description}, 400))


def _exchange(fake: FakeSpotify, app: FakeApp, form: dict[str, str], *, has_secret: bool) -> Answer:
    code = fake.grants.codes.pop(form.get("code", ""), None)
    now_ms = fake.clock.now_ms
    if code is None or code.client_id != app.client_id:
        refuse("invalid_grant", "Invalid authorization code")
    if now_ms - code.issued_ms > CODE_SECONDS * 1_000:
        refuse("invalid_grant", "Authorization code expired")
    if form.get("redirect_uri") != code.redirect_uri:
        refuse("invalid_grant", "Invalid redirect URI")
    if code.challenge is None and not has_secret:
        refuse("invalid_client", "Invalid client secret")
    if code.challenge is not None and not check_challenge(code.challenge, form.get("code_verifier", "")):
        refuse("invalid_grant", "code_verifier was incorrect")
    base = Token("refresh", code.account, app.client_id, code.scope, now_ms, 0, 0, code.challenge is not None and not has_secret)
    refresh_token, _ = fake.grants.issue("refresh", base, now_ms)
    return _answer_tokens(fake, base, refresh_token)


def _refresh(fake: FakeSpotify, app: FakeApp, form: dict[str, str], *, has_secret: bool) -> Answer:
    now_ms = fake.clock.now_ms
    found = fake.grants.read(form.get("refresh_token", ""), "refresh", now_ms)
    match found:
        case "expired":
            refuse("invalid_grant", "Refresh token expired")
        case "revoked":
            refuse("invalid_grant", "Refresh token revoked")
        case "invalid":
            refuse("invalid_grant", "Invalid refresh token")
    if found.client_id != app.client_id:
        refuse("invalid_grant", "Invalid refresh token")
    if not found.uses_pkce and not has_secret:
        refuse("invalid_client", "Invalid client secret")
    if not app.rotates_refresh_tokens:
        return _answer_tokens(fake, found, None)
    fake.grants.ended.add(found.number)
    return _answer_tokens(fake, found, fake.grants.issue("refresh", found, now_ms)[0])


def _answer_tokens(fake: FakeSpotify, base: Token, refresh_token: str | None) -> Answer:
    access_token, _ = fake.grants.issue("access", base, fake.clock.now_ms)
    body = {"access_token": access_token, "token_type": "Bearer", "expires_in": ACCESS_TOKEN_SECONDS, "scope": base.scope}
    return answer_json(body if refresh_token is None else {**body, "refresh_token": refresh_token}, cache_control="no-store")


def _authenticate(fake: FakeSpotify, request: Request, form: dict[str, str]) -> tuple[FakeApp, bool]:
    """The app, and whether it proved to know its secret. Raises Refusal for an unknown app and a wrong secret."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret")
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            refuse("invalid_client")
    app = fake.apps.get(client_id)
    if app is None:
        raise Refusal(answer_json({"error": "invalid_client", "error_description": "Invalid client"}, 400))
    if secret and secret != app.client_secret:
        refuse("invalid_client", "Invalid client secret")
    return app, bool(secret)


def _check_client(fake: FakeSpotify, request: Request) -> FakeApp:
    """The app of an authorization request. Raises Refusal with a page where nobody may be redirected."""
    query = request.query
    app = fake.apps.get(query.get("client_id", ""))
    if app is None:
        raise Refusal(answer_text("INVALID_CLIENT: Invalid client", 400))
    uri = query.get("redirect_uri", "")
    if (reason := explain_insecure_redirect(uri)) is not None:
        raise Refusal(answer_text(reason, 400))
    if not app.accepts_redirect(uri):
        raise Refusal(answer_text("INVALID_CLIENT: Invalid redirect URI", 400))
    return app


def _find_mistake(request: Request) -> str | None:
    query = request.query
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    return "invalid_request" if "code_challenge" in query and query.get("code_challenge_method") != "S256" else None


def _redirect(request: Request, **answer: str) -> Answer:
    """Back to the app, with its state."""
    if "state" in request.query:
        answer["state"] = request.query["state"]
    uri = request.query["redirect_uri"]
    return Answer(302, b"", {"location": f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer)}"})
