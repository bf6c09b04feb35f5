"""The state of all connected accounts: authorization, waits, history and gaps, from what is on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from soundlake.spotify.budget import App, AppUse, Park, RequestBudget
from soundlake.spotify.budget.request_budget import read_ms
from soundlake.spotify.collection import Gap, HistoryStore
from soundlake.spotify.poller import ListeningStore
from soundlake.spotify.tokens import Connection, TokenStore
from soundlake.spotify.tokens.refused_grants import PROBE_AFTER, is_outage

HISTORY_SILENCE = timedelta(hours=1)
"""History is asked for every quarter of an hour at least; after so long without an answer nothing is collected."""

LIVE_SILENCE = timedelta(minutes=20)
"""The slowest poll of an idle account is minutes apart; after so long without an answer nothing is followed."""


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
    """One connected account. `token_age_seconds` counts from the last refresh, `sign_in_warning` is 30, 7 or 1."""

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
        return {**asdict(self), "is_well": self.is_well}


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
    return SpotifyStatus(accounts, tuple(records.budget.measure_use(app) for app in apps), tuple(_find_alarms(connections, accounts, now)))


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
    )


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


def _find_alarms(connections: Sequence[Connection], accounts: Sequence[AccountStatus], now: datetime) -> list[str]:
    alarms = []
    outage = is_outage(connections)
    if outage:
        count = sum(connection.refused_at is not None for connection in connections)
        alarms.append(f"Spotify refuses the tokens of all {count} accounts at once: an outage, they are tried again after an hour")
    for one in accounts:
        name = one.display_name or one.account
        if not one.is_connected:
            alarms.append(f"{name} has to sign in again: soundlake spotify login")
        elif one.wait is not None and one.wait.reason == "refused_token":
            alarms += [] if outage else [f"{name}: Spotify refuses its token"]
        elif one.wait is not None:
            until = "the next sign-in" if one.wait.until is None else f"{one.wait.until:%Y-%m-%d %H:%M} UTC"
            alarms.append(f"{name}: the {one.wait.party} waits until {until} ({one.wait.reason})")
        elif one.sign_in_warning is not None:
            alarms.append(f"{name} has to sign in within {one.days_until_sign_in} days: soundlake spotify login")
        if one.is_connected and one.last_history_at is not None and now - one.last_history_at > HISTORY_SILENCE:
            failure = one.history_failure or "`soundlake spotify backfill` does not run"
            alarms.append(f"{name}: no history since {one.last_history_at:%Y-%m-%d %H:%M} UTC: {failure}")
        if one.is_connected and one.last_poll_at is not None and now - one.last_poll_at > LIVE_SILENCE:
            failure = one.live_failure or "`soundlake spotify poll` does not run"
            alarms.append(f"{name}: nothing followed since {one.last_poll_at:%Y-%m-%d %H:%M} UTC: {failure}")
    return alarms
