"""Reads what a refused call means, and who has to wait for it: pure functions of status, headers and body."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from soundlake.errors import SoundlakeError
from soundlake.spotify.errors import AccountMismatch, Forbidden, QuotaExceeded, RateLimited, Unauthorized


class Party(StrEnum):
    """Who waits."""

    ACCOUNT = "account"
    APP = "app"
    DEVELOPER = "developer"


class Reason(StrEnum):
    """Why somebody waits."""

    RATE = "rate"
    QUOTA = "quota"
    OWNER_PREMIUM = "owner_premium"
    NOT_ALLOWLISTED = "not_allowlisted"
    SCOPE = "scope"
    UNKNOWN = "unknown"
    UNAUTHORIZED = "unauthorized"
    OTHER_ACCOUNT = "other_account"

    @property
    def party(self) -> Party:
        """Who waits for it: limits and the owner's Premium belong to what is shared, everything else to one account."""
        return {Reason.QUOTA: Party.DEVELOPER, Reason.RATE: Party.APP, Reason.OWNER_PREMIUM: Party.APP}.get(self, Party.ACCOUNT)

    @property
    def recheck(self) -> timedelta | None:
        """The time to the next try where Spotify names none; None: after the next sign-in only."""
        return _RECHECKS.get(self)

    def make_error(self, account: str, until: datetime | None) -> SoundlakeError:
        """The error for a caller who has to wait until `until`."""
        if self is Reason.OTHER_ACCOUNT:
            return AccountMismatch(account)
        if until is None or self.value in ("owner_premium", "unknown"):
            return Forbidden(self.value, until)
        if self is Reason.UNAUTHORIZED:
            return Unauthorized(account, until)
        return QuotaExceeded(until) if self is Reason.QUOTA else RateLimited(until)


@dataclass(frozen=True)
class Refusal:
    """A refused call; `wait` is what Spotify asked for, None where it asked for nothing that makes sense."""

    reason: Reason
    wait: timedelta | None = None


def read_refusal(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Refusal | None:
    """What a 403 or a 429 means; None for any other status."""
    text = body[:_MOST_READ].decode(errors="replace").lower()
    if status == 429:  # noqa: PLR2004  # Too Many Requests
        reason = Reason.QUOTA if re.search(r"quota[_ ]exceeded", text) else Reason.RATE
        return Refusal(reason, read_retry_after(headers, now))
    if status == 403:  # noqa: PLR2004  # Forbidden
        return Refusal(next((reason for reason, words in _WORDS if re.search(words, text)), Reason.UNKNOWN))
    return None


def read_retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait of Retry-After, in seconds or as a date by the server's own clock; None where it is missing, past or unreadable."""
    given = headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
    except ValueError:
        until = _read_date(given)
        seconds = (until - (_read_date(headers.get("date", "")) or now)).total_seconds() if until else 0.0
    return timedelta(seconds=math.ceil(seconds)) if 0 < seconds < _LONGEST_WAIT_SECONDS else None


def _read_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


_MOST_READ = 65_536
_LONGEST_WAIT_SECONDS = 366 * 86_400  # more is no wait but a fault

_RECHECKS = {
    Reason.QUOTA: timedelta(hours=1),
    Reason.OWNER_PREMIUM: timedelta(hours=2),
    Reason.UNKNOWN: timedelta(hours=1),
    Reason.UNAUTHORIZED: timedelta(minutes=10),
}

_WORDS = (
    (Reason.OWNER_PREMIUM, r"premium.*\bowner|\bowner.*premium|active premium|premium subscription"),
    (Reason.NOT_ALLOWLISTED, r"not\s+(be\s+)?registered|allow-?\s?list|white-?\s?list|developer dashboard"),
    (Reason.SCOPE, r"\bscope"),
)
"""Words of the answers, which are plain text from a gateway or JSON, and whose wording changes (spotipy-dev/spotipy#1233)."""
