"""`soundlake spotify`: connect accounts of Spotify, and see how they are."""

from __future__ import annotations

import asyncio
import signal
import sys
import webbrowser
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundlake.settings import Settings
    from soundlake.spotify.auth import SignIn
    from soundlake.spotify.backfill import Collected
    from soundlake.spotify.collection import Gap
    from soundlake.spotify.sign_in import Login
    from soundlake.spotify.status import AccountStatus, SpotifyStatus
    from soundlake.spotify.tokens import Connection
    from soundlake.telemetry import Telemetry

_EXIT_NOT_WELL = 1


def run_spotify_login(
    *,
    user: Annotated[
        str | None, typer.Option("--user", help="The listener that the account's plays belong to; default: the account's id at Spotify.")
    ] = None,
    paste: Annotated[bool, typer.Option("--paste", help="Print the address, and take the redirected address from standard input.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait for the sign-in, such as 5m.")] = "5m",
) -> None:
    """Connect an account of Spotify, or sign it in again. Exit code 3 if it was not granted, 1 if nobody answered in time."""
    from soundlake import wiring
    from soundlake.cli.durations import parse_duration
    from soundlake.lake import Scope
    from soundlake.settings import load_settings
    from soundlake.spotify.auth import SignIn

    seconds = parse_duration(timeout)
    settings = load_settings()
    with wiring.open_login(settings) as login:
        login.check()
        sign_in = SignIn()
        if paste or not _has_browser():
            connection = login.finish(sign_in, _take_pasted(login, sign_in), user)
        else:
            connection = _sign_in_by_browser(login, sign_in, user, seconds)
    wiring.allow_again(settings, [connection.listener], Scope.SPOTIFY_API)
    if wiring.is_forgotten(settings, connection.listener):
        typer.echo(
            f"! the listener {connection.listener} was forgotten, and nothing is stored: soundlake forget --allow {connection.listener}"
        )
    typer.echo(f"connected: {connection.display_name or connection.account}, as the listener {connection.listener}")
    typer.echo(f"a new sign-in is due on {connection.sign_in_due_at:%Y-%m-%d}")


def run_spotify_status(*, as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False) -> None:
    """Print each account's authorization, waits, history and gaps, and the request budget; exit code 1 if something needs a look.

    It reads what is on the disk and calls nothing.
    """
    from soundlake import wiring
    from soundlake.cli.terminal import print_json
    from soundlake.operations.stack import place_stack
    from soundlake.settings import load_settings

    settings = load_settings()
    status = wiring.read_spotify_status(settings, datetime.now(UTC))
    if as_json:
        print_json(status.as_json())
    else:
        _print_status(status)
        stack = place_stack(settings)
        if not status.accounts and wiring.open_token_store(stack).list_accounts():
            typer.echo(f"the full stack has accounts of its own: `SOUNDLAKE_HOME={stack.home} soundlake spotify status`")
    if not status.is_well:
        raise typer.Exit(_EXIT_NOT_WELL)


def run_spotify_backfill(
    *,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="Ask again so often, such as 10m, until stopped; without it, once.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Without --every: print the result as one JSON object.")] = False,
) -> None:
    """Collect the 50 newest plays of each connected account, and publish those that are new to the event log.

    Exit code 1 if an account could not be asked. With --every it goes on, and `soundlake spotify status` shows what failed.
    """
    from soundlake import wiring
    from soundlake.cli.durations import parse_duration
    from soundlake.cli.terminal import print_json
    from soundlake.errors import UsageError
    from soundlake.logs import configure_logs
    from soundlake.settings import load_settings

    if every is not None and as_json:
        raise UsageError("--json is for a single run", next_step="leave out --every, or read `soundlake spotify status --json`")
    settings = load_settings()
    if every is not None:
        with wiring.open_spotify_telemetry(settings, "spotify-backfill") as telemetry:
            asyncio.run(_collect_again_and_again(settings, telemetry, timedelta(seconds=parse_duration(every))))
        return
    configure_logs("spotify-backfill", as_json=settings.log_json, secrets=settings.secrets)
    results = asyncio.run(_collect_once(settings))
    if as_json:
        accounts = [{**asdict(one), "failure": None if one.failure is None else one.failure.message} for one in results]
        print_json({"accounts": accounts})
    else:
        for one in results:
            _print_collected(one)
    if not results:
        typer.echo("no account is connected: `soundlake spotify login` connects one", err=True)
    if any(one.failure for one in results):
        raise typer.Exit(_EXIT_NOT_WELL)


async def _collect_once(settings: Settings) -> list[Collected]:
    from soundlake import wiring

    async with wiring.open_backfill(settings) as backfill:
        return [await backfill.collect(account) for account in backfill.store.list_accounts()]


async def _collect_again_and_again(settings: Settings, telemetry: Telemetry | None, every: timedelta) -> None:
    from soundlake import wiring

    async with wiring.open_backfill(settings, telemetry) as backfill:
        task = asyncio.ensure_future(backfill.run(every, asyncio.sleep, _print_collected))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task


def _print_collected(collected: Collected) -> None:
    from soundlake.logs import report

    if collected.failure is not None:
        report(f"{collected.account}: {collected.failure.message}", error=collected.failure)
        return
    unreadable = f", {collected.unreadable} unreadable entries" if collected.unreadable else ""
    report(f"{collected.account}: {collected.plays} new plays{unreadable}")


def _has_browser() -> bool:
    """Whether a browser opens a window; one that takes over this terminal does not count."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return not (isinstance(browser, webbrowser.GenericBrowser) and not isinstance(browser, webbrowser.BackgroundBrowser))


def _take_pasted(login: Login, sign_in: SignIn) -> str:
    from soundlake.spotify.errors import SignInRefused

    typer.echo(f"Open this address in any browser and allow the access:\n\n{login.auth.get_authorization_url(sign_in)}\n")
    typer.echo(f"The browser ends on a page under {login.auth.redirect_uri}, which it may not be able to show. Paste its address here:")
    redirected = sys.stdin.readline().strip()
    if not redirected:
        raise SignInRefused("no address was pasted", next_step="begin again")
    return redirected


def _sign_in_by_browser(login: Login, sign_in: SignIn, user: str | None, seconds: float) -> Connection:
    from soundlake.spotify.callback import CallbackServer

    address = login.auth.get_authorization_url(sign_in)
    with CallbackServer(login.auth.redirect_uri, sign_in) as server:
        typer.echo(
            f"Allow the access in the browser. If it did not open, open this address on this machine (or use --paste):\n\n{address}\n"
        )
        webbrowser.open(address)
        return login.finish(sign_in, server.wait(seconds), user)


def _print_status(status: SpotifyStatus) -> None:
    from soundlake.cli.terminal import print_table

    if not status.accounts:
        typer.echo("no account is connected: `soundlake spotify login` connects one")
    for account in status.accounts:
        print_table(f"{account.display_name or account.account}", _describe_account(account))
    for app in status.apps:
        print_table(
            f"Calls of the app {app.client_id}",
            {
                "in 30 seconds": f"{app.calls_in_window} of {app.window_limit}",
                "in 24 hours": f"{app.calls_in_day} of {app.day_limit}",
                "live, in 24 hours": f"{app.live_calls_in_day} of {app.live_limit}",
            },
        )
    for alarm in status.alarms:
        typer.echo(f"! {alarm}")


def _describe_account(account: AccountStatus) -> dict[str, object]:
    wait, owner = account.wait, account.followed_by
    until = "" if wait is None else " until the next sign-in" if wait.until is None else f" until {wait.until:%Y-%m-%d %H:%M} UTC"
    last = account.last_history_at
    return {
        "account": account.account,
        "listener": account.listener,
        "scopes": " ".join(account.scopes),
        "token refreshed": f"{account.token_age_seconds // 60:,} min ago",
        "sign-in due": f"{account.sign_in_due_at:%Y-%m-%d}, in {account.days_until_sign_in} days",
        "health": account.health,
        "waits": "no" if wait is None else f"the {wait.party}{until} ({wait.reason})",
        "history": "never" if last is None else f"{last:%Y-%m-%d %H:%M} UTC, {account.plays:,} plays",
        "last poll": "never" if account.last_poll_at is None else f"{account.last_poll_at:%Y-%m-%d %H:%M:%S} UTC",
        "followed by": "nobody" if owner is None else f"process {owner.pid} on {owner.host}, since {owner.since:%Y-%m-%d %H:%M} UTC",
        "live": "well"
        if account.live_failed_since is None
        else f"fails since {account.live_failed_since:%H:%M} UTC: {account.live_failure}",
        "gaps of history": _describe_gaps(account.gaps),
        "gaps of the poller": _describe_gaps(account.live_gaps),
    }


def _describe_gaps(gaps: Sequence[Gap]) -> str:
    """The newest three."""
    shown = (
        f"{gap.begins_at:%Y-%m-%d %H:%M} to {gap.ends_at:%Y-%m-%d %H:%M}"
        + (f", {len(gap.heard_live)} plays known" if gap.heard_live else "")
        for gap in gaps[-3:]
    )
    return "; ".join(shown) or "none"
