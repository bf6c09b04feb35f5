"""The one way to a valid access token: refreshed once for all processes of a home, and never asked for in vain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from soundlake.broker.protocol import Clock, read_utc_now
from soundlake.spotify.auth import Grant, InvalidGrant, SpotifyAuth
from soundlake.spotify.errors import NeedsReauthorization
from soundlake.spotify.tokens.models import Connection, TokenStore
from soundlake.spotify.tokens.refused_grants import PROBE_AFTER, Verdict, judge_refused

log = logging.getLogger(__name__)

_MARGIN = timedelta(seconds=60)  # before its end a token is refreshed: a call may take as long


class AccessTokens:
    """Gives access tokens. Methods wait for the lock and for the accounts host: call them outside an event loop's thread."""

    def __init__(self, store: TokenStore, find_auth: Callable[[Connection], SpotifyAuth], clock: Clock = read_utc_now) -> None:
        """`find_auth` gives the accounts host for the app of a connection."""
        self._store, self._find_auth, self._clock = store, find_auth, clock

    def get(self, account: str, *, refused: str | None = None) -> str:
        """A valid access token; a new one if it is `refused`, which the Web API did not take.

        Raises NeedsReauthorization, AccountMismatch, and what SpotifyAuth.refresh_access_token raises.
        """
        connection = self._read(account)
        if not self._is_valid(connection, refused):
            with self._store.lock(account):
                connection = self._read(account)  # another process may have refreshed it while this one waited
                if not self._is_valid(connection, refused):
                    self._judge(connection)
                    connection = self._refresh(connection)
        return connection.access_token or ""

    def _is_valid(self, connection: Connection, refused: str | None) -> bool:
        token = connection.access_token
        return token is not None and token != refused and self._clock() < connection.expires_at - _MARGIN

    def _judge(self, connection: Connection) -> None:
        """Raises NeedsReauthorization unless the refresh token may be tried."""
        if connection.refresh_token is None:
            raise NeedsReauthorization(connection.account)
        if connection.refused_at is None:
            return
        match judge_refused(connection, self._list_others(connection), self._clock()):
            case Verdict.DISCARD:
                self._discard(connection)
                raise NeedsReauthorization(connection.account)
            case Verdict.WAIT:
                until = connection.refused_at + PROBE_AFTER
                why = f"Spotify refuses its token; if it refuses those of others too, it is tried again at {until:%H:%M} UTC"
                raise NeedsReauthorization(connection.account, why)

    def _refresh(self, connection: Connection) -> Connection:
        """One refresh, kept before anything else is done with it."""
        used = connection.refresh_token or ""
        self._store.write(connection)  # a token that works once is not spent while its successor could not be kept
        try:
            grant = self._find_auth(connection).refresh_access_token(used)
        except InvalidGrant as cause:
            return self._handle_refusal(connection, used, cause)
        fresh = merge_grant(connection, grant, self._clock())
        self._store.write(fresh)
        if connection.refused_at is not None:
            log.warning("Spotify accepts the refresh token of %s again", connection.account)
        return fresh

    def _handle_refusal(self, connection: Connection, used: str, cause: InvalidGrant) -> Connection:
        now = self._read(connection.account)
        if now.refresh_token not in (None, used):
            return now  # it was replaced meanwhile by a process that does not share this lock
        log.warning("Spotify refuses the refresh token of %s: %s", connection.account, cause.message)
        if connection.refused_at is not None:  # the probe
            self._discard(connection)
            raise NeedsReauthorization(connection.account) from cause
        refused = replace(connection, refused_at=self._clock(), access_token=None)
        self._store.write(refused)
        self._judge(refused)
        raise NeedsReauthorization(connection.account) from cause

    def _discard(self, connection: Connection) -> None:
        """Forget the tokens; the account and everything that was collected stay."""
        self._store.write(replace(connection, access_token=None, refresh_token=None))
        log.warning("the authorization of %s has ended: sign in again with `soundlake spotify login`", connection.account)

    def _list_others(self, connection: Connection) -> list[Connection]:
        found = (self._store.read(account) for account in self._store.list_accounts() if account != connection.account)
        return [other for other in found if other is not None and other.client_id == connection.client_id]

    def _read(self, account: str) -> Connection:
        connection = self._store.read(account)
        if connection is None:
            raise NeedsReauthorization(account, "it is not connected")
        return connection


def merge_grant(connection: Connection, grant: Grant, now: datetime) -> Connection:
    """A connection after a refresh: what the answer leaves out stays, and the authorization is as old as before."""
    return replace(
        connection,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token or connection.refresh_token,
        scopes=grant.scopes or connection.scopes,
        expires_at=now + grant.expires_in,
        refreshed_at=now,
        refused_at=None,
        recovered_at=connection.recovered_at if connection.refused_at is None else now,
    )
