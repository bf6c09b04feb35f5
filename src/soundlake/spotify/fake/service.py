"""The fake Spotify: accounts, apps, music and a clock, and an answer for each request. No socket and no framework is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from email.utils import format_datetime

from soundlake.spotify.fake import accounts_host, web_api
from soundlake.spotify.fake.accounts import FakeAccount, FakeApp
from soundlake.spotify.fake.catalogue import FakeCatalogue
from soundlake.spotify.fake.clock import AdjustableClock
from soundlake.spotify.fake.grants import Grants
from soundlake.spotify.fake.messages import Answer, Refusal, Request, answer_text
from soundlake.spotify.fake.timeline import Timeline

_ACCOUNTS_HOST: dict[tuple[str, str], Callable[[FakeSpotify, Request], Answer]] = {
    ("GET", "/authorize"): accounts_host.show_consent,
    ("POST", "/authorize"): accounts_host.take_decision,
    ("POST", "/api/token"): accounts_host.give_token,
}


class FakeSpotify:
    """The state of the fake; `answer` handles one request of either host. Times come from `clock`."""

    def __init__(self, clock: AdjustableClock, *, base_url: str = "http://fake-spotify.invalid") -> None:
        self.clock = clock
        self.catalogue = FakeCatalogue(base_url)
        self.accounts: dict[str, FakeAccount] = {}
        self.apps: dict[str, FakeApp] = {}
        self.grants = Grants()

    def add_app(self, app: FakeApp) -> FakeApp:
        """Register an app, or replace it."""
        self.apps[app.client_id] = app
        return app

    def add_account(self, timeline: Timeline, **details: str) -> FakeAccount:
        """Add an account with its time line, or replace it; `details` are fields of FakeAccount."""
        account = FakeAccount(timeline, **details)
        self.accounts[account.user_id] = account
        self.catalogue.add(segment.track for segment in timeline.segments if segment.track is not None)
        self.catalogue.add(listing.track for listing in timeline.listings)
        return account

    def answer(self, request: Request) -> Answer:
        """The answer of one request."""
        try:
            answer = self._handle(request)
        except Refusal as refusal:
            answer = refusal.answer
        date = format_datetime(self.clock(), usegmt=True)
        return replace(answer, headers={"date": date, **answer.headers})

    def _handle(self, request: Request) -> Answer:
        if (handler := _ACCOUNTS_HOST.get((request.method, request.path))) is not None:
            return handler(self, request)
        if not request.path.startswith("/v1/"):
            return answer_text("not found", 404)
        _, account, token = web_api.authorize(self, request)
        return web_api.answer_object(web_api.call(self, request, account, token))
