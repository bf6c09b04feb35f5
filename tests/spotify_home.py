"""A home whose accounts are connected to a fake Spotify, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import httpx

from soundlake.spotify.auth import SignIn, SpotifyAuth
from soundlake.spotify.budget import App, Limits, RequestBudget
from soundlake.spotify.catalogue import Catalogue
from soundlake.spotify.client import ApiAccess, SpotifyAPIClient
from soundlake.spotify.collection import HistoryStore
from soundlake.spotify.fake import FakeApp, FakeSpotify, FakeTrack, FakeTransport, run_in_virtual_time, write_timeline
from soundlake.spotify.fake.messages import Request
from soundlake.spotify.poller import ListeningStore
from soundlake.spotify.sign_in import Login
from soundlake.spotify.status import Records
from soundlake.spotify.tokens import AccessTokens, FileTokenStore

START = datetime(2026, 1, 1, 20, tzinfo=UTC)
T0_MS = 1_767_297_600_000
TRACK = FakeTrack("4Z8W4fKeB5YxbusRsdQVPb", "Song A", 200_000, "4UXqAaa6dQYAk18Lv7PEgX", "Artist A", "6zTKq2ZgGOYvBZpJ7XR5Sz", "Album A")
API = "http://fake-spotify.invalid"


def open_sync_http(fake):
    """A client of both hosts that needs no event loop."""

    def answer(request):
        given = fake.answer(
            Request(
                request.method,
                request.url.path,
                dict(request.url.params),
                {k.lower(): v for k, v in request.headers.items()},
                request.read(),
            )
        )
        return httpx.Response(given.status, headers=given.headers, content=given.body)

    return httpx.Client(transport=httpx.MockTransport(answer))


@dataclass
class SpotifyHome:
    """The parts of a home, as the program has them."""

    fake: FakeSpotify
    clock: object
    folder: object
    secret: bool = False
    limits: Limits = field(default_factory=lambda: Limits(1_000, 100_000))

    def __post_init__(self):
        self.store = FileTokenStore(self.folder / "accounts")
        self.budget = RequestBudget(self.folder / "budget.json", self.limits, self.clock)
        self.sync_http = open_sync_http(self.fake)
        self.http = httpx.AsyncClient(transport=FakeTransport(self.fake), timeout=15)
        self.tokens = AccessTokens(self.store, lambda one: self.make_auth(one.client_id), self.clock)
        self.catalogue = Catalogue()

    def make_auth(self, client_id):
        secret = self.fake.apps[client_id].client_secret if self.secret else ""
        return SpotifyAuth(self.sync_http, client_id, client_secret=secret, accounts_url=API, clock=self.clock)

    def make_login(self, app):
        return Login(
            App(app.client_id, app.developer), self.make_auth(app.client_id), self.sync_http, self.store, self.budget, API, self.clock
        )

    def connect(self, user, app=None):
        """Sign an account in as its owner would; its client."""
        app = app or self.find_app()
        self.fake_account(user)
        login, sign_in = self.make_login(app), SignIn()
        connection = login.finish(sign_in, allow(self.fake, login.auth.get_authorization_url(sign_in), user))
        return self.make_client(connection.account, app)

    def find_app(self):
        """The first app of the fake."""
        return next(iter(self.fake.apps.values()))

    def fake_account(self, user):
        """An account at the fake that plays one song for a day."""
        if user not in self.fake.accounts:
            self.fake.add_account(write_timeline(user, T0_MS, {"A": TRACK}, [{"run": [0, 86_400, "A", 0]}]))

    def make_records(self):
        """What `soundlake spotify status` reads."""
        return Records(self.store, self.budget, HistoryStore(self.folder / "history"), ListeningStore(self.folder / "listening"))

    def find_park(self, client):
        """What an account waits for."""
        return self.budget.find_park(client.app, client.account)

    def count_calls(self, path="/v1/", *, since_ms=0, account=None):
        """The calls that reached the fake."""
        return sum(c.path.startswith(path) and c.at_ms >= since_ms and account in (None, c.account) for c in self.fake.calls)

    def make_client(self, account, app):
        access = ApiAccess(App(app.client_id, app.developer), self.http, self.tokens, self.budget, self.catalogue, API, self.clock)
        return SpotifyAPIClient(account, access)


def allow(fake, address, user, decision="allow"):
    """What the browser ends on after the listener pressed the button."""
    parts = urlsplit(address)
    request = Request("POST", parts.path, dict(parse_qsl(parts.query)), {}, f"account={user}&decision={decision}".encode())
    return fake.answer(request).headers["location"]


def run(tmp_path, main, *, apps=None, **options):
    """Run `main(home)` in virtual time, with a fake Spotify that has these apps."""

    async def start(clock):
        fake = FakeSpotify(clock)
        for app in apps or [FakeApp()]:
            fake.add_app(app)
        home = SpotifyHome(fake, clock, tmp_path, **options)
        return await main(home)

    return run_in_virtual_time(start, START)
