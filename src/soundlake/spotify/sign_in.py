"""Connects an account: from the redirected address of a sign-in to a connection that is kept."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from soundlake.broker.protocol import Clock, read_utc_now
from soundlake.errors import Unavailable
from soundlake.retries import retry_policy
from soundlake.spotify.answers import UnreadableAnswer, decode_object, read_answer
from soundlake.spotify.auth import SCOPES, Grant, SignIn, SpotifyAuth
from soundlake.spotify.budget import App, Purpose, RequestBudget
from soundlake.spotify.errors import AccountMismatch, SignInRefused
from soundlake.spotify.models import Profile
from soundlake.spotify.refusals import Party, read_refusal
from soundlake.spotify.tokens import Connection, TokenStore


@dataclass(frozen=True)
class Login:
    """Connects accounts with one app."""

    app: App
    auth: SpotifyAuth
    http: httpx.Client
    store: TokenStore
    budget: RequestBudget
    api_url: str
    clock: Clock = read_utc_now

    def check(self) -> None:
        """Raises the error of whatever the app waits for: the end of a sign-in needs one call of the Web API."""
        self.budget.check(self.app, "")

    def finish(self, sign_in: SignIn, redirected: str, listener: str | None = None) -> Connection:
        """Exchange the code, ask whose it is, and keep the connection; an account that is known keeps its listener.

        Raises SignInRefused, Forbidden if the listener is not on the app's list, RateLimited, or Unavailable.
        """
        grant = self.auth.get_access_token(sign_in, redirected)
        if missing := set(SCOPES) - set(grant.scopes or SCOPES):
            raise SignInRefused(f"the sign-in did not grant {', '.join(sorted(missing))}", next_step="begin again")
        profile = retry_policy(first_wait_seconds=0.5, longest_wait_seconds=4, stop=4, on=Unavailable)(self._get_profile, grant)
        account = profile.account
        if account is None:
            raise Unavailable("Spotify does not say whose account it is", next_step="begin again")
        with self.store.lock(account):
            connection = self._connect(account, profile, grant, listener)
            self.store.write(connection)
        self.budget.release(account)
        return connection

    def _connect(self, account: str, profile: Profile, grant: Grant, listener: str | None) -> Connection:
        try:
            known = self.store.read(account)
        except AccountMismatch:
            known = None  # a file that was copied over this account's; the sign-in repairs it
        now = self.clock()
        return Connection(
            account=account,
            listener=listener or (known.listener if known else account),
            client_id=self.app.client_id,
            developer=self.app.developer,
            authorized_at=now,
            refreshed_at=now,
            expires_at=now + grant.expires_in,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            scopes=grant.scopes or SCOPES,
            display_name=profile.display_name,
            accounts_url=self.auth.accounts_url,
            api_url=self.api_url,
        )

    def _get_profile(self, grant: Grant) -> Profile:
        self.budget.take(self.app, "", Purpose.HISTORY)
        try:
            answer = self.http.get(f"{self.api_url}/v1/me", headers={"Authorization": f"Bearer {grant.access_token}"})
        except (httpx.HTTPError, httpx.StreamError) as cause:
            raise Unavailable(f"Spotify does not answer /v1/me: {type(cause).__name__}") from None  # the request holds the token
        if refusal := read_refusal(answer.status_code, answer.headers, answer.content, self.clock()):
            shared = refusal.reason.party is not Party.ACCOUNT
            raise self.budget.record_refusal(self.app, "", refusal) if shared else refusal.reason.make_error("this account", None)
        try:
            return read_answer(Profile, decode_object(answer.content if answer.status_code == httpx.codes.OK else b""))
        except UnreadableAnswer:
            raise Unavailable(f"Spotify answers /v1/me with HTTP {answer.status_code}, unreadable") from None
