"""Since when nothing was collected of an account, and when that is longer than usual: pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from soundlake.spotify.collection import Span

HISTORY_SILENCE = timedelta(hours=1)
"""History is asked for every quarter of an hour at least; after so long without an answer nothing is collected."""

LIVE_SILENCE = timedelta(minutes=20)
"""The slowest poll of an idle account is minutes apart; after so long without an answer nothing is followed."""

LEAST_QUIET = timedelta(days=3)
"""A listener who plays nothing for less is on holiday."""

_FEWEST_PLAYS = 20  # too few to know what is usual


def find_silence(since: datetime | None, longest: timedelta, now: datetime) -> datetime | None:
    """`since` (the last answer, or the first failure where there was none) if that is longer ago than `longest`."""
    return since if since is not None and now - since > longest else None


def find_quiet(heard: Sequence[Span], now: datetime) -> datetime | None:
    """The end of the newest play if answers show none for twice as long as ever between the plays before, three days at least.

    Then the account may be another one than the listener's, or its private session may never have ended.
    """
    if len(heard) < _FEWEST_PLAYS:
        return None
    spans = sorted(heard)
    usual = max(begin - end for (_, end), (begin, _) in pairwise(spans))
    newest = max(end for _, end in spans)
    return newest if now - newest > max(LEAST_QUIET, 2 * usual) else None
