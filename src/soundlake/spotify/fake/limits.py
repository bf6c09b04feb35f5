"""Spotify's two limits: calls in a rolling 30 seconds per app, and calls in a rolling day per developer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from soundlake.spotify.fake.accounts import FakeApp
from soundlake.spotify.fake.messages import Answer, answer_json, answer_text

WINDOW_MS, DAY_MS = 30_000, 86_400_000
DEVELOPMENT_CALLS_PER_WINDOW, DEVELOPMENT_CALLS_PER_DAY = 8, 5_000
"""Where a new app was refused, roughly: 10 calls in 30 s were too many, and days ended between 480 and 5,000 calls."""


@dataclass(slots=True)
class Limits:
    """The calls of each app and developer; refused ones count too, so calling on keeps a limit alive."""

    calls_per_day: dict[str, int] = field(default_factory=dict)
    _of_app: dict[str, deque[int]] = field(default_factory=dict)
    _of_developer: dict[str, deque[int]] = field(default_factory=dict)

    def count(self, app: FakeApp, now_ms: int) -> Answer | None:
        """Count a call; the 429 that it is answered with, or None."""
        in_window = _count(self._of_app.setdefault(app.client_id, deque()), now_ms, WINDOW_MS)
        most = self.calls_per_day.get(app.developer)
        in_day = _count(self._of_developer.setdefault(app.developer, deque()), now_ms, DAY_MS)
        if most is not None and len(in_day) > most:
            return refuse_quota(1 + (in_day[0] + DAY_MS - now_ms) // 1_000)
        if app.calls_per_window is not None and len(in_window) > app.calls_per_window:
            return answer_text("Too many requests", 429, retry_after=str(1 + (in_window[0] + WINDOW_MS - now_ms) // 1_000))
        return None


def refuse_quota(retry_after_s: int) -> Answer:
    """The answer for a developer whose quota is used up."""
    error = {"status": 429, "message": "API quota exceeded", "reason": "QUOTA_EXCEEDED"}
    return answer_json({"error": error}, 429, retry_after=str(retry_after_s))


def _count(calls: deque[int], now_ms: int, span_ms: int) -> deque[int]:
    while calls and calls[0] <= now_ms - span_ms:
        calls.popleft()
    calls.append(now_ms)
    return calls
