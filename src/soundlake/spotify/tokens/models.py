"""A connected account with its tokens, and the seam behind which they are kept."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

AUTHORIZATION_LASTS = timedelta(seconds=15_778_800)
"""Six months: a refresh token ends so long after the listener's authorization, however often it was used (Spotify, since July 2026)."""

WARNING_DAYS = (30, 7, 1)
"""Days before the end of an authorization on which it is said that a sign-in is due."""


@dataclass(frozen=True)
class Connection:
    """A connected account. Without a refresh token it has to sign in again; everything else about it stays.

    `account` is Spotify's id of it, `listener` the user_id of its events. `accounts_url` and `api_url` are the hosts that it was connected
    at, since its tokens are sent nowhere else; empty: those of the settings. `refused_at` is the time at which the refresh token was
    refused, `recovered_at` the time at which one that had been refused was accepted after all. All times are UTC.
    """

    account: str
    listener: str
    client_id: str
    authorized_at: datetime
    expires_at: datetime
    refreshed_at: datetime
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    display_name: str | None = None
    developer: str = ""
    accounts_url: str = ""
    api_url: str = ""
    refused_at: datetime | None = None
    recovered_at: datetime | None = None

    @property
    def sign_in_due_at(self) -> datetime:
        """When the authorization ends."""
        return self.authorized_at + AUTHORIZATION_LASTS

    def count_days_left(self, now: datetime) -> int:
        """Whole days until a sign-in is due; 0 on the last day and after it, and without a refresh token."""
        return 0 if self.refresh_token is None else max(0, (self.sign_in_due_at - now) // timedelta(days=1))

    def find_warning_day(self, now: datetime) -> int | None:
        """The smallest of WARNING_DAYS that has been reached: 30, 7 or 1; None before."""
        left = self.sign_in_due_at - now
        return min((days for days in WARNING_DAYS if left <= timedelta(days=days)), default=None)


class TokenStore(Protocol):
    """Keeps connections. A write is whole or does not happen; who changes a connection holds its lock from reading to writing."""

    def read(self, account: str) -> Connection | None:
        """A connection, as it was written last. Raises AccountMismatch if what is kept for `account` belongs to another one."""

    def write(self, connection: Connection) -> None:
        """Keep a connection in place of the one before. Raises OSError."""

    def delete(self, account: str) -> None:
        """Forget a connection, if it exists."""

    def list_accounts(self) -> list[str]:
        """All connected accounts, in a fixed order."""

    def lock(self, account: str) -> AbstractContextManager[None]:
        """Keep every other process from changing a connection, for the block."""
