"""What goes wrong between this project and Spotify.

Retryable
├── ServiceFails            Spotify's own fault: a status of 500 or above
├── RateLimited             too many calls in 30 seconds: the app waits until `until`
│   ├── QuotaExceeded       too many calls in a day: every app of the developer waits
│   └── BudgetSpent         our own budget: no call was made
└── Unauthorized            a fresh access token was refused: the account waits
Permanent
├── NeedsReauthorization    the listener has to sign in again
├── Forbidden               one of the reasons for a 403
├── AccountMismatch         the stored token belongs to another account
├── RequestRefused          an id or a parameter is wrong
└── SignInRefused           the sign-in was denied, or its answer is not ours (exit code 3)

What is merely unreachable, unreadable or out of order is `soundlake.errors.Unavailable`.
"""

from __future__ import annotations

from datetime import datetime

from soundlake.errors import DataError, Permanent, Retryable, Unavailable


class ServiceFails(Unavailable):
    """Spotify answers with a fault of its own; `status` is the HTTP status."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"Spotify answers {path} with HTTP {status}")
        self.path, self.status = path, status


class RateLimited(Retryable):
    """Spotify answers 429: nothing that shares the app calls before `until` (UTC)."""

    def __init__(self, until: datetime, message: str = "Spotify limits the calls of this app") -> None:
        super().__init__(f"{message}; no call before {until:%Y-%m-%dT%H:%M:%SZ}")
        self.until = until


class QuotaExceeded(RateLimited):
    """The calls of a day are used up: nothing that shares the developer account calls before `until` (UTC)."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until, "the developer account's calls of a day are used up (QUOTA_EXCEEDED)")


class BudgetSpent(RateLimited):
    """The project's own budget has no call left before `until` (UTC); nothing was sent."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until, "the request budget is spent")


class Unauthorized(Retryable):
    """An access token that was just refreshed is refused: a fault of the service that passes."""

    def __init__(self, account: str, until: datetime) -> None:
        super().__init__(f"Spotify refuses a fresh access token of {account}; the next try is at {until:%Y-%m-%dT%H:%M:%SZ}")
        self.account, self.until = account, until


class NeedsReauthorization(Permanent):
    """The authorization of an account has ended; what was collected stays."""

    def __init__(self, account: str, why: str = "its authorization has ended") -> None:
        super().__init__(f"{account} has to sign in again: {why}", next_step="soundlake spotify login")
        self.account = account


class Forbidden(Permanent):
    """Spotify answers 403; `reason` is not_allowlisted, owner_premium, scope or unknown, `until` (UTC) the next try, if there is one."""

    def __init__(self, reason: str, until: datetime | None = None) -> None:
        what, next_step = _FORBIDDEN[reason]
        later = "" if until is None else f"; the next try is at {until:%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(f"Spotify refuses the call (403): {what}{later}", next_step=next_step)
        self.reason, self.until = reason, until


class AccountMismatch(Permanent):
    """The token that is stored for `account` belongs to another account; it was not used to collect anything."""

    def __init__(self, account: str) -> None:
        super().__init__(
            f"the token stored for {account} belongs to another account", next_step=f"sign {account} in again: soundlake spotify login"
        )
        self.account = account


class RequestRefused(Permanent):
    """Spotify refuses the request itself; `status` is the HTTP status, 404 for an unknown id."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"Spotify refuses {path}: HTTP {status}")
        self.path, self.status = path, status


class SignInRefused(DataError):
    """A sign-in that did not end in a token."""


_FORBIDDEN: dict[str, tuple[str, str | None]] = {
    "not_allowlisted": (
        "the listener is not on the app's list of users",
        "add the account under User Management on developer.spotify.com/dashboard, then: soundlake spotify login",
    ),
    "owner_premium": ("the owner of the app has no active Premium subscription", "renew the Premium of the account that owns the app"),
    "scope": ("the sign-in did not grant a needed scope", "soundlake spotify login"),
    "unknown": ("no reason is given", None),
}
