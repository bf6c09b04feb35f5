"""Connects an account of the fake without a browser: what a listener does on the fake's sign-in page, in one process."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from soundlake.errors import UsageError
from soundlake.spotify.auth import SignIn
from soundlake.spotify.fake.messages import Request
from soundlake.spotify.fake.service import FakeSpotify
from soundlake.spotify.sign_in import Login
from soundlake.spotify.tokens import Connection


def connect_account(fake: FakeSpotify, login: Login, user: str) -> Connection:
    """Sign this account of the fake in, as a listener of the same name. Raises UsageError if the fake has no such account."""
    if user not in fake.accounts:
        raise UsageError(f"the fake Spotify has no account {user}", next_step=f"its accounts are {', '.join(fake.accounts)}")
    sign_in = SignIn()
    address = urlsplit(login.auth.get_authorization_url(sign_in))
    form = urlencode({"account": user, "decision": "allow"}).encode()
    answer = fake.answer(Request("POST", address.path, dict(parse_qsl(address.query)), {}, form))
    return login.finish(sign_in, answer.headers["location"], user)


def open_in_process_client(fake: FakeSpotify) -> httpx.Client:
    """A client of both hosts of the fake, without a socket."""

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        given = fake.answer(Request(request.method, request.url.path, dict(request.url.params), headers, request.read()))
        return httpx.Response(given.status, headers=given.headers, content=given.body)

    return httpx.Client(transport=httpx.MockTransport(answer))
