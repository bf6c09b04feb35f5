"""How fast the request budget lets the accounts of an app be polled."""

from __future__ import annotations

from soundlake.spotify.budget import AppUse
from soundlake.spotify.plays.planner import FLOOR_MS, Pace

_WINDOW_MS = 31_000


def find_pace(use: AppUse, listeners: int) -> Pace:
    """The share of the day's live calls that is left, and the 30 seconds of the app shared by those who listen now.

    One call of the 30 seconds stays free, for history.
    """
    left = max(0, use.live_limit - use.live_calls_in_day)
    calls = max(1, use.window_limit - 1)
    return Pace(left / use.live_limit if use.live_limit else 0.0, max(FLOOR_MS, listeners * _WINDOW_MS // calls))
