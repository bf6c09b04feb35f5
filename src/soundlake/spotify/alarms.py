"""What somebody has to look at, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from soundlake.spotify.tokens import Connection
from soundlake.spotify.tokens.refused_grants import is_outage

if TYPE_CHECKING:
    from soundlake.spotify.status import AccountStatus


def find_alarms(connections: Sequence[Connection], accounts: Sequence[AccountStatus]) -> Iterator[str]:
    """One line for each thing that somebody has to do or to know."""
    outage = is_outage(connections)
    if outage:
        count = sum(connection.refused_at is not None for connection in connections)
        yield f"Spotify refuses the tokens of all {count} accounts at once: an outage, they are tried again after an hour"
    for one in accounts:
        yield from _find_sign_in_alarms(one, is_outage=outage)
        if one.wait is None:  # else its reason is said already
            yield from _find_silence_alarms(one)


def _find_sign_in_alarms(one: AccountStatus, *, is_outage: bool) -> Iterator[str]:
    if not one.is_connected:
        yield f"{one.name} has to sign in again: soundlake spotify login"
    elif one.wait is not None and one.wait.reason == "refused_token":
        if not is_outage:
            yield f"{one.name}: Spotify refuses its token"
    elif one.wait is not None:
        until = "the next sign-in" if one.wait.until is None else f"{one.wait.until:%Y-%m-%d %H:%M} UTC"
        yield f"{one.name}: the {one.wait.party} waits until {until} ({one.wait.reason})"
    elif one.sign_in_warning is not None:
        yield f"{one.name} has to sign in within {one.days_until_sign_in} days: soundlake spotify login"


def _find_silence_alarms(one: AccountStatus) -> Iterator[str]:
    if one.history_silent_since is not None:
        why = one.history_failure or "`soundlake spotify backfill` does not run"
        yield f"{one.name}: no history since {one.history_silent_since:%Y-%m-%d %H:%M} UTC: {why}"
    if one.live_silent_since is not None:
        why = one.live_failure or "`soundlake spotify poll` does not run"
        yield f"{one.name}: nothing followed since {one.live_silent_since:%Y-%m-%d %H:%M} UTC: {why}"
    if one.quiet_since is not None:
        yield (
            f"{one.name}: answers come, but no play since {one.quiet_since:%Y-%m-%d %H:%M} UTC, longer than ever before: is it the "
            "listener's account, and did a private session end?"
        )
