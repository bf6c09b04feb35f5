"""The calls that were made and the waits that were asked for: pure, times in milliseconds since 1970.

Spotify counts the calls of an app in a rolling 30 seconds, and the calls of a developer, all apps together, in a rolling day. Neither limit
is published: the budget begins with what other projects met, and learns from each refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from soundlake.spotify.refusals import Party, Reason, Refusal

WINDOW_MS, DAY_MS = 31_000, 86_460_000
"""30 seconds and a day, with a margin for the way of a call to the server, which counts by its own clock."""

_HISTORY_CALLS_A_DAY = 150  # of an account: every 10 minutes, and some that are repeated
_FIRST_BACKOFF_MS, _LONGEST_BACKOFF_MS = 5_000, 300_000  # where Spotify names no wait
_CALM_MS = 900_000  # after so long without a refusal the own back-off begins again
_RECOVERY_MS = 6 * 3_600_000  # a learned limit of 30 seconds grows by one call so often
_QUOTA_MEMORY_MS = 7 * DAY_MS  # a learned limit of a day is forgotten
_LEAST_CALLS_A_DAY = 100
_LEAST_CALLS_IN_WINDOW = 4  # a call every 20 seconds was never refused, and another program may have used the rest


class Purpose(StrEnum):
    """What a call is for: calls for history have a reserve that live calls leave alone."""

    LIVE = "live"
    HISTORY = "history"


@dataclass(frozen=True)
class App:
    """An app at Spotify, and the developer account that owns it; apps without a name of their developer count as one developer's."""

    client_id: str
    developer: str = ""


@dataclass(frozen=True)
class Limits:
    """The calls of an app in 30 seconds, and of a developer in a day."""

    calls_per_window: int = 6
    calls_per_day: int = 1_000


@dataclass
class Park:
    """Somebody who waits; `until_ms` is None where only a sign-in ends it."""

    party: Party
    name: str
    reason: Reason
    since_ms: int
    until_ms: int | None


@dataclass
class AppCalls:
    """The calls of one app in the last day, by purpose, its accounts with their last call, and what was learned from refusals."""

    developer: str = ""
    live: list[int] = field(default_factory=list)
    history: list[int] = field(default_factory=list)
    accounts: dict[str, int] = field(default_factory=dict)
    window_limit: int | None = None
    window_limit_ms: int = 0
    backoffs: int = 0
    backoff_ends_ms: int = 0


@dataclass
class QuotaMet:
    """The calls of a developer's last day when Spotify answered QUOTA_EXCEEDED."""

    calls: int
    at_ms: int


@dataclass(frozen=True)
class AppUse:
    """How much of its budget an app has used."""

    client_id: str
    calls_in_window: int
    window_limit: int
    calls_in_day: int
    live_calls_in_day: int
    live_limit: int
    day_limit: int


@dataclass
class Ledger:
    """Everything that the budget remembers."""

    apps: dict[str, AppCalls] = field(default_factory=dict)
    parks: list[Park] = field(default_factory=list)
    quotas: dict[str, QuotaMet] = field(default_factory=dict)

    def find_park(self, app: App, account: str, now_ms: int) -> Park | None:
        """What keeps this account from calling: the park that ends last."""
        names = {(Party.ACCOUNT, account), (Party.APP, app.client_id), (Party.DEVELOPER, app.developer)}
        mine = [park for park in self.list_parks(now_ms) if (park.party, park.name) in names]
        return max(mine, key=lambda park: (park.until_ms is None, park.until_ms or 0), default=None)

    def forget(self, account: str) -> None:
        """Forget an account's last calls and its parks."""
        self.parks = [park for park in self.parks if (park.party, park.name) != (Party.ACCOUNT, account)]
        for calls in self.apps.values():
            calls.accounts.pop(account, None)

    def list_parks(self, now_ms: int) -> list[Park]:
        """The parks that have not ended."""
        return [park for park in self.parks if park.until_ms is None or park.until_ms > now_ms]

    def find_wait_ms(self, app: App, purpose: Purpose, limits: Limits, now_ms: int) -> int | None:
        """The time at which the budget has a call for this purpose; None: now."""
        use = self.measure_use(app, limits, now_ms)
        calls = self._find(app, now_ms)
        kept_free = 1 if purpose is Purpose.LIVE and use.window_limit > 1 else 0
        if use.calls_in_window >= use.window_limit - kept_free:
            return min(call for call in calls.live + calls.history if call > now_ms - WINDOW_MS) + WINDOW_MS
        of_developer = self._list_apps(app, now_ms)
        if purpose is Purpose.LIVE and use.live_calls_in_day >= use.live_limit:
            return min((call for of_app in of_developer for call in of_app.live), default=now_ms) + DAY_MS
        if use.calls_in_day >= use.day_limit:
            return min(call for of_app in of_developer for call in of_app.live + of_app.history) + DAY_MS
        return None

    def record_call(self, app: App, account: str, purpose: Purpose, now_ms: int) -> None:
        """A call is made now."""
        calls = self._find(app, now_ms)
        (calls.live if purpose is Purpose.LIVE else calls.history).append(now_ms)
        if account:  # a sign-in has none yet
            calls.accounts[account] = now_ms

    def record_refusal(self, app: App, account: str, refusal: Refusal, now_ms: int) -> Park:
        """A call was refused: park who shares the reason, at least as long as was asked for, and learn from it."""
        reason = refusal.reason
        names = {Party.ACCOUNT: account, Party.APP: app.client_id, Party.DEVELOPER: app.developer}
        if reason is Reason.RATE:
            self._lower_window(app, now_ms)
        if reason is Reason.QUOTA:
            self.quotas[app.developer] = QuotaMet(sum(_count(of_app) for of_app in self._list_apps(app, now_ms)), now_ms)
        park = Park(reason.party, names[reason.party], reason, now_ms, self._find_end_ms(app, refusal, now_ms))
        return self._add(park, now_ms)

    def measure_use(self, app: App, limits: Limits, now_ms: int) -> AppUse:
        """How much of its budget an app has used; the limits of a day are those of its developer."""
        calls = self._find(app, now_ms)
        of_developer = self._list_apps(app, now_ms)
        day_limit = self._find_day_limit(app, limits, now_ms)
        reserve = min(day_limit * 3 // 4, _HISTORY_CALLS_A_DAY * sum(len(of_app.accounts) for of_app in of_developer))
        learned = calls.window_limit
        grown = None if learned is None else learned + (now_ms - calls.window_limit_ms) // _RECOVERY_MS
        return AppUse(
            app.client_id,
            calls_in_window=sum(call > now_ms - WINDOW_MS for call in calls.live + calls.history),
            window_limit=limits.calls_per_window if grown is None else min(grown, limits.calls_per_window),
            calls_in_day=sum(map(_count, of_developer)),
            live_calls_in_day=sum(len(of_app.live) for of_app in of_developer),
            live_limit=day_limit - reserve,
            day_limit=day_limit,
        )

    def _find_day_limit(self, app: App, limits: Limits, now_ms: int) -> int:
        met = self.quotas.get(app.developer)
        if met is None or met.at_ms < now_ms - _QUOTA_MEMORY_MS:
            return limits.calls_per_day
        return min(limits.calls_per_day, max(_LEAST_CALLS_A_DAY, met.calls * 4 // 5))

    def _find_end_ms(self, app: App, refusal: Refusal, now_ms: int) -> int | None:
        if refusal.wait is not None:
            return now_ms + int(refusal.wait.total_seconds() * 1000)
        if refusal.reason is not Reason.RATE:
            recheck = refusal.reason.recheck
            return None if recheck is None else now_ms + int(recheck.total_seconds() * 1000)
        calls = self._find(app, now_ms)
        calls.backoffs = 0 if now_ms > calls.backoff_ends_ms + _CALM_MS else calls.backoffs + 1
        calls.backoff_ends_ms = now_ms + min(_FIRST_BACKOFF_MS << min(calls.backoffs, 10), _LONGEST_BACKOFF_MS)
        return calls.backoff_ends_ms

    def _lower_window(self, app: App, now_ms: int) -> None:
        calls = self._find(app, now_ms)
        in_window = sum(call > now_ms - WINDOW_MS for call in calls.live + calls.history)
        calls.window_limit, calls.window_limit_ms = max(_LEAST_CALLS_IN_WINDOW, in_window - 1), now_ms

    def _add(self, park: Park, now_ms: int) -> Park:
        """Add a park; one of the same reason is prolonged, never cut short."""
        self.parks = self.list_parks(now_ms)
        for known in self.parks:
            if (known.party, known.name, known.reason) == (park.party, park.name, park.reason):
                ends = None if None in (known.until_ms, park.until_ms) else max(known.until_ms or 0, park.until_ms or 0)
                known.until_ms = ends
                return known
        self.parks.append(park)
        return park

    def _find(self, app: App, now_ms: int) -> AppCalls:
        """The calls of an app, without those that are older than a day."""
        calls = self.apps.setdefault(app.client_id, AppCalls())
        calls.developer = app.developer
        _forget(calls, now_ms)
        return calls

    def _list_apps(self, app: App, now_ms: int) -> list[AppCalls]:
        """The calls of all apps of the same developer."""
        found = [calls for calls in self.apps.values() if calls.developer == app.developer]
        for calls in found:
            _forget(calls, now_ms)
        return found


def _count(calls: AppCalls) -> int:
    return len(calls.live) + len(calls.history)


def _forget(calls: AppCalls, now_ms: int) -> None:
    first = now_ms - DAY_MS
    calls.live = [call for call in calls.live if call > first]
    calls.history = [call for call in calls.history if call > first]
    calls.accounts = {account: at_ms for account, at_ms in calls.accounts.items() if at_ms > first}
