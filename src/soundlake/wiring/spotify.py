"""Spotify accounts: where their tokens are kept, the request budget, sign-in, and the clients of the Web API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from soundlake.errors import SettingsError
from soundlake.wiring.systems import open_broker, open_publisher

if TYPE_CHECKING:
    import httpx

    from soundlake.broker.protocol import Clock
    from soundlake.settings import Settings
    from soundlake.spotify.auth import SpotifyAuth
    from soundlake.spotify.backfill import Backfill
    from soundlake.spotify.budget import App, RequestBudget
    from soundlake.spotify.client import SpotifyAPIClient
    from soundlake.spotify.collection import HistoryStore
    from soundlake.spotify.sign_in import Login
    from soundlake.spotify.status import SpotifyStatus
    from soundlake.spotify.tokens import Connection, TokenStore
    from soundlake.telemetry import Telemetry

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0


def locate_spotify(settings: Settings) -> Path:
    """The folder of a home that holds connections, request budget and what was collected last; it is its owner's only."""
    return settings.home_folder / "spotify"


def open_token_store(settings: Settings) -> TokenStore:
    """The connections of this home. Raises SettingsError where there is no keyring."""
    from soundlake.spotify.tokens import FileTokenStore, KeyringTokenStore

    folder = locate_spotify(settings) / "accounts"
    if settings.spotify.tokens_in == "file":
        return FileTokenStore(folder)
    import keyring
    from keyring.backends.fail import Keyring as NoKeyring

    if isinstance(keyring.get_keyring(), NoKeyring):
        raise SettingsError("SPOTIFY_TOKENS_IN=keyring: this machine has no keyring", next_step="leave it empty for files under home")
    return KeyringTokenStore(folder, keyring)


def open_request_budget(settings: Settings, clock: Clock | None = None) -> RequestBudget:
    """The request budget of this home."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.spotify.budget import Limits, RequestBudget

    limits = Limits(settings.spotify.calls_per_30_seconds, settings.spotify.calls_per_day)
    return RequestBudget(locate_spotify(settings) / "budget.json", limits, clock or read_utc_now)


def open_history_store(settings: Settings) -> HistoryStore:
    """What was collected last of each account."""
    from soundlake.spotify.collection import HistoryStore

    return HistoryStore(locate_spotify(settings) / "history")


def read_spotify_status(settings: Settings, now: datetime) -> SpotifyStatus:
    """The state of all accounts of this home."""
    from soundlake.spotify.poller import ListeningStore
    from soundlake.spotify.status import Records, read_spotify_status

    listenings = ListeningStore(locate_spotify(settings) / "listening")
    return read_spotify_status(
        Records(open_token_store(settings), open_request_budget(settings), open_history_store(settings), listenings), now
    )


@contextmanager
def open_login(settings: Settings) -> Iterator[Login]:
    """Sign-in with the app of the settings."""
    from soundlake.spotify.budget import App
    from soundlake.spotify.sign_in import Login

    with _open_http() as http:
        yield Login(
            app=App(settings.spotify.client_id, settings.spotify.developer),
            auth=_make_auth(settings, http, settings.spotify.client_id, settings.spotify.accounts_url),
            http=http,
            store=open_token_store(settings),
            budget=open_request_budget(settings),
            api_url=settings.spotify.api_url.rstrip("/"),
        )


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Callable[[Connection], SpotifyAPIClient]]:
    """Makes the client of a connection; all share one pool of sockets, one budget and one cache."""
    import httpx

    from soundlake.spotify.catalogue import Catalogue
    from soundlake.spotify.client import ApiAccess, SpotifyAPIClient
    from soundlake.spotify.tokens import AccessTokens

    limits = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    with _open_http() as accounts_http:
        async with httpx.AsyncClient(timeout=limits) as http:
            spotify = settings.spotify

            def find_auth(one: Connection) -> SpotifyAuth:
                return _make_auth(settings, accounts_http, one.client_id, one.accounts_url or spotify.accounts_url)

            tokens = AccessTokens(open_token_store(settings), find_auth)
            budget, catalogue = open_request_budget(settings), Catalogue()

            def make_client(connection: Connection) -> SpotifyAPIClient:
                api_url = (connection.api_url or spotify.api_url).rstrip("/")
                access = ApiAccess(app_of(connection), http, tokens, budget, catalogue, api_url)
                return SpotifyAPIClient(connection.account, access)

            yield make_client


@asynccontextmanager
async def open_backfill(settings: Settings, telemetry: Telemetry | None = None) -> AsyncIterator[Backfill]:
    """The collector of history, publishing to the event log of this deployment."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.spotify.backfill import Backfill
    from soundlake.spotify.poller import ListeningStore

    listenings = ListeningStore(locate_spotify(settings) / "listening")
    async with open_clients(settings) as make_client:
        with closing(open_broker(settings)) as broker:
            yield Backfill(
                store=open_token_store(settings),
                histories=open_history_store(settings),
                make_client=make_client,
                publisher=open_publisher(settings, broker, telemetry),
                clock=read_utc_now,
                list_heard=lambda account: listenings.read(account).heard,
            )


@contextmanager
def open_spotify_telemetry(settings: Settings, service: str) -> Iterator[Telemetry | None]:
    """The telemetry of a collector, with the state of all accounts."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.telemetry import open_telemetry

    with open_telemetry(settings, service) as telemetry:
        if telemetry is not None:
            telemetry.watch_spotify(lambda: read_spotify_status(settings, read_utc_now()))
        yield telemetry


def app_of(connection: Connection) -> App:
    """The app that a connection was made with."""
    from soundlake.spotify.budget import App

    return App(connection.client_id, connection.developer)


def _make_auth(settings: Settings, http: httpx.Client, client_id: str, accounts_url: str) -> SpotifyAuth:
    """The accounts host for an app; the secret goes to the app and the host of the settings only, any other one was connected by PKCE."""
    from soundlake.spotify.auth import SpotifyAuth

    spotify = settings.spotify
    is_own = client_id == spotify.client_id and accounts_url.rstrip("/") == spotify.accounts_url.rstrip("/")
    secret = spotify.client_secret.get_secret_value() if is_own else ""
    return SpotifyAuth(http, client_id, client_secret=secret, redirect_uri=spotify.redirect_uri, accounts_url=accounts_url)


def _open_http() -> httpx.Client:
    import httpx

    return httpx.Client(timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS))
