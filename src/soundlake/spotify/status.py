"""The state of all connected accounts: authorization, waits, history and gaps, from what is on the disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from soundlake.spotify.alarms import find_alarms
from soundlake.spotify.budget import App, AppUse, Park, RequestBudget
from soundlake.spotify.budget.request_budget import read_ms
from soundlake.spotify.collection import Gap, History, HistoryStore
from soundlake.spotify.poller import ListeningStore, Owner
from soundlake.spotify.silence import HISTORY_SILENCE, LIVE_SILENCE, find_quiet, find_silence
from soundlake.spotify.tokens import Connection, TokenStore
from soundlake.spotify.tokens.refused_grants import PROBE_AFTER


@dataclass(frozen=True)
class Wait:
    """Who waits, why, and until when (UTC); no end: until the next sign-in."""

    party: str
    name: str
    reason: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class AccountStatus:
    """One connected account. `token_age_seconds` counts from the last refresh, `sign_in_warning` is 30, 7 or 1.

    `…_silent_since` (UTC) is set where nothing was collected for longer than usual, `quiet_since` where answers show no play for longer
    than ever; `followed_by` is the process of the poller.
    """

    account: str
    listener: str
    display_name: str | None
    is_connected: bool
    scopes: tuple[str, ...]
    token_age_seconds: int
    sign_in_due_at: datetime
    days_until_sign_in: int
    sign_in_warning: int | None
    wait: Wait | None
    last_history_at: datetime | None
    history_failure: str | None
    plays: int
    gaps: tuple[Gap, ...]
    last_poll_at: datetime | None
    live_failed_since: datetime | None
    live_failure: str | None
    live_gaps: tuple[Gap, ...]
    unpublished_events: int
    history_silent_since: datetime | None
    live_silent_since: datetime | None
    quiet_since: datetime | None
    followed_by: Owner | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.display_name or self.account

    @property
    def health(self) -> str:
        """`silent` where nothing was collected for longer than usual, `degraded` from the first failure on, else `well`."""
        if self.history_silent_since or self.live_silent_since or self.quiet_since:
            return "silent"
        return "degraded" if self.wait or self.live_failure or self.history_failure else "well"


@dataclass(frozen=True)
class SpotifyStatus:
    """All accounts, the use of each app's budget, and what somebody has to look at."""

    accounts: tuple[AccountStatus, ...]
    apps: tuple[AppUse, ...]
    alarms: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything."""
        return not self.alarms

    def as_json(self) -> dict[str, Any]:
        """The status as JSON."""
        accounts = [{**asdict(one), "health": one.health} for one in self.accounts]
        return {**asdict(self), "accounts": accounts, "is_well": self.is_well}


@dataclass(frozen=True)
class Records:
    """Where the state of a home's accounts is."""

    store: TokenStore
    budget: RequestBudget
    histories: HistoryStore
    listenings: ListeningStore


def read_spotify_status(records: Records, now: datetime) -> SpotifyStatus:
    """Read everything; no call is made."""
    found = (records.store.read(account) for account in records.store.list_accounts())
    connections = [connection for connection in found if connection is not None]
    accounts = tuple(_describe(connection, records, now) for connection in connections)
    apps = sorted({App(connection.client_id, connection.developer) for connection in connections}, key=lambda app: app.client_id)
    return SpotifyStatus(accounts, tuple(records.budget.measure_use(app) for app in apps), tuple(find_alarms(connections, accounts)))


def _describe(connection: Connection, records: Records, now: datetime) -> AccountStatus:
    history, live = records.histories.read(connection.account), records.listenings.read(connection.account)
    park = records.budget.find_park(App(connection.client_id, connection.developer), connection.account)
    return AccountStatus(
        account=connection.account,
        listener=connection.listener,
        display_name=connection.display_name,
        is_connected=connection.refresh_token is not None,
        scopes=connection.scopes,
        token_age_seconds=int((now - connection.refreshed_at).total_seconds()),
        sign_in_due_at=connection.sign_in_due_at,
        days_until_sign_in=connection.count_days_left(now),
        sign_in_warning=connection.find_warning_day(now),
        wait=_find_wait(connection, park),
        last_history_at=history.answered_at,
        history_failure=history.failure,
        plays=history.plays,
        gaps=tuple(history.gaps),
        last_poll_at=live.answered_at,
        live_failed_since=live.failed_since,
        live_failure=live.failure,
        live_gaps=tuple(live.gaps),
        unpublished_events=len(live.outbox),
        history_silent_since=find_silence(_find_history_start(connection, history), HISTORY_SILENCE, now),
        live_silent_since=find_silence(live.answered_at or live.failed_since, LIVE_SILENCE, now),
        quiet_since=find_quiet(live.heard, now),
        followed_by=records.listenings.find_owner(connection.account, now),
    )


def _find_history_start(connection: Connection, history: History) -> datetime | None:
    """Since when there is no history: the last answer, or the sign-in; None where nobody ever asked for it."""
    return history.answered_at or (connection.authorized_at if history.asked_at is not None else None)


def _find_wait(connection: Connection, park: Park | None) -> Wait | None:
    if connection.refresh_token is None:
        return Wait("account", connection.account, "sign_in", connection.refused_at or connection.sign_in_due_at, None)
    if connection.refused_at is not None:
        return Wait("account", connection.account, "refused_token", connection.refused_at, connection.refused_at + PROBE_AFTER)
    if park is None:
        return None
    return Wait(
        park.party.value, park.name, park.reason.value, read_ms(park.since_ms), None if park.until_ms is None else read_ms(park.until_ms)
    )
