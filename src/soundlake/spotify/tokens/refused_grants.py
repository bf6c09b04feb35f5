"""What a refused refresh token means: the end of an authorization, or an outage of the accounts service.

Spotify's rule is to discard a token that was refused with invalid_grant. In outages it refused good tokens of everybody
(metabrainz/listenbrainz-server#1921). So a token is discarded at once if its authorization has run out, or if its account is the only one;
otherwise it waits for an hour, and is tried once more if every other account was refused too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum, auto

from soundlake.spotify.tokens.models import Connection

PROBE_AFTER = timedelta(hours=1)


class Sign(Enum):
    """What another account says about an outage: nothing, that there is one, that there is none."""

    NONE = auto()
    OUTAGE = auto()
    HEALTHY = auto()


class Verdict(Enum):
    """What to do with a refused refresh token."""

    DISCARD = auto()
    WAIT = auto()
    PROBE = auto()


def judge_refused(connection: Connection, others: Iterable[Connection], now: datetime) -> Verdict:
    """What to do with a connection whose refresh token was refused at `refused_at`; `others` are the accounts of the same app."""
    refused_at = connection.refused_at
    if refused_at is None or now >= connection.sign_in_due_at:
        return Verdict.DISCARD
    signs = [_find_sign(other, refused_at) for other in others if not _is_long_gone(other, refused_at)]
    if not signs or Sign.HEALTHY in signs:
        return Verdict.DISCARD
    if now < refused_at + PROBE_AFTER:
        return Verdict.WAIT
    return Verdict.DISCARD if Sign.NONE in signs else Verdict.PROBE


def is_outage(connections: Iterable[Connection]) -> bool:
    """Whether every account that has a token was refused: one fault of the service, not many of accounts."""
    connected = [connection for connection in connections if connection.refresh_token is not None]
    return len(connected) > 1 and all(connection.refused_at is not None for connection in connected)


def _find_sign(other: Connection, refused_at: datetime) -> Sign:
    """What another account says about a refusal at `refused_at`."""
    if other.refused_at is not None or (other.recovered_at is not None and other.recovered_at >= refused_at):
        return Sign.OUTAGE
    return Sign.HEALTHY if other.refreshed_at > refused_at else Sign.NONE


def _is_long_gone(other: Connection, refused_at: datetime) -> bool:
    """Whether another account lost its token in an earlier event."""
    return other.refresh_token is None and (other.refused_at is None or other.refused_at < refused_at - PROBE_AFTER)
