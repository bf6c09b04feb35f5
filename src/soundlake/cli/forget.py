"""`soundlake forget` and `soundlake spotify disconnect`: erase listeners, or what came of them from Spotify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundlake.cli.terminal import print_json, print_table, show_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundlake.lake import Scope
    from soundlake.operations.erasure import Plan, Receipt
    from soundlake.settings import Settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. Needed where there is no terminal to ask on.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the receipt, or with --dry-run the plan, as one JSON object.")]


def run_forget(
    users: Annotated[list[str] | None, typer.Argument(metavar="USER...", help="The listeners (`user_id`).")] = None,
    *,
    from_file: Annotated[Path | None, typer.Option("--from-file", help="A file with one listener a line; - for standard input.")] = None,
    allow: Annotated[bool, typer.Option("--allow", help="Delete nothing; store what comes of these listeners from now on again.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase everything of listeners, whatever the source, and store nothing of them from then on.

    It deletes from log, bronze, processed tables, cache and logs, builds silver and gold again, and deletes older snapshots. Killed, it
    resumes when it is run again. A receipt stays under erasure/receipts in the home. Nothing brings the rows back; --allow lets the
    listeners be imported again. Exit code 1 if something did not become free: run it again.
    """
    from soundlake import wiring
    from soundlake.errors import UsageError
    from soundlake.lake import Scope
    from soundlake.settings import load_settings

    user_ids = _read_users(users or [], from_file)
    settings = load_settings()
    if allow and dry_run:
        raise UsageError("--allow deletes nothing: there is nothing to show", next_step="leave out --dry-run")
    if allow:
        lifted = wiring.allow_again(settings, user_ids, Scope.EVERYTHING)
        if as_json:
            print_json({"allowed": lifted})
        else:
            typer.echo(f"{len(lifted)} of {len(user_ids)} listeners were forgotten and may be stored again")
        return
    _erase(settings, user_ids, Scope.EVERYTHING, dry_run=dry_run, yes=yes, as_json=as_json)


def run_spotify_disconnect(
    user: Annotated[str | None, typer.Argument(help="The account or its listener; may be left out where one account is connected.")] = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete the tokens of an account, and everything that came from Spotify's Web API for its listener.

    What the listener imported from exports and other services stays; `soundlake forget` deletes that too. `soundlake spotify login`
    connects the account again.
    """
    from soundlake import wiring
    from soundlake.errors import UsageError
    from soundlake.lake import Scope
    from soundlake.settings import load_settings

    settings = load_settings()
    if user is None:
        accounts = wiring.open_connected_accounts(settings).store.list_accounts()
        if len(accounts) != 1:
            named = f"connected are {', '.join(accounts)}" if accounts else "no account is connected"
            raise UsageError(f"name the account: {named}", next_step="soundlake spotify disconnect USER")
        user = accounts[0]
    _erase(settings, [user], Scope.SPOTIFY_API, dry_run=dry_run, yes=yes, as_json=as_json)
    if not as_json and not dry_run:
        typer.echo("Spotify itself still lists the app: remove it on https://www.spotify.com/account/apps/")


def _erase(settings: Settings, user_ids: Sequence[str], scope: Scope, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from soundlake import wiring
    from soundlake.errors import UsageError

    asks = not (dry_run or yes)
    if asks and (as_json or not sys.stdin.isatty()):
        raise UsageError("nothing was deleted: there is no terminal to ask on", next_step="add --yes, or --dry-run to see what it would be")
    with show_progress() as reporter, wiring.open_erasure(settings, user_ids, scope, reporter) as erasure:
        plan = erasure.plan() if asks or dry_run else None
    if plan is not None and not as_json:
        _print_plan(plan)
    if dry_run:
        if as_json and plan is not None:
            print_json(plan.as_json())
        return
    if asks:
        typer.confirm(f"\nDelete this for good ({len(user_ids)} listeners)?", abort=True)
    with show_progress() as reporter, wiring.open_erasure(settings, user_ids, scope, reporter) as erasure:
        receipt = erasure.run()
    if as_json:
        print_json(receipt.as_json())
    else:
        _print_receipt(receipt, settings)


def _read_users(users: Sequence[str], from_file: Path | None) -> list[str]:
    from soundlake.errors import UsageError

    lines: list[str] = []
    if from_file is not None:
        try:
            text = sys.stdin.read() if str(from_file) == "-" else from_file.read_text(encoding="utf-8")
        except OSError as cause:
            raise UsageError(f"{from_file} cannot be read: {cause.strerror}", next_step="name a file with one listener a line") from cause
        lines = [line.strip() for line in text.splitlines()]
    found = list(dict.fromkeys(user for user in [*users, *lines] if user))
    if not found:
        raise UsageError("no listener is named", next_step="soundlake forget USER, or --from-file FILE")
    return found


def _print_plan(plan: Plan) -> None:
    print_table("To delete", {**plan.found, "silver and gold": "built again from what stays"} if plan.found else {"nothing was found": ""})
    if plan.accounts:
        print_table("Spotify accounts", dict.fromkeys(plan.accounts, "tokens, history, gaps, live state"))
    if plan.kept:
        print_table("Stays until its retention ends", {one.place: f"{one.until:%Y-%m-%d}" for one in plan.kept})


def _print_receipt(receipt: Receipt, settings: Settings) -> None:
    print_table("Deleted", dict(receipt.deleted) or {"nothing was found": ""})
    if receipt.kept:
        print_table("Stays until its retention ends", {one.place: f"{one.until:%Y-%m-%d}" for one in receipt.kept})
    typer.echo(f"\nreceipt: {settings.home_folder / 'erasure' / 'receipts' / receipt.id}.json")
