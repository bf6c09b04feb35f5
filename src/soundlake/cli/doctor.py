"""`soundlake doctor`: check this machine for the full stack."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.stack.doctor import Diagnosis


def run_doctor(
    *,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", help="Check for a stack without this service; may be repeated.")
    ] = None,
    spotify: Annotated[bool, typer.Option("--spotify", help="Check for a stack that collects from Spotify.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Print only what is missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Check what the full stack and a Spotify account need, and print what fixes each problem; exit code 1 if something is missing."""
    from soundlake.cli.terminal import print_json
    from soundlake.cli.topics import compare_with_plan
    from soundlake.operations.stack import is_up, plan_stack
    from soundlake.operations.stack.doctor import check_machine
    from soundlake.settings import load_settings

    stack = plan_stack(load_settings(with_home=False), (), without or (), has_spotify=spotify)
    diagnosis = check_machine(stack, is_up=is_up(stack.home), compare_topics=partial(compare_with_plan, stack.settings))
    if as_json:
        print_json(diagnosis.as_json())
    else:
        _print_diagnosis(diagnosis, only_missing=missing)
    if not diagnosis.is_well:
        raise typer.Exit(1)


def _print_diagnosis(diagnosis: Diagnosis, *, only_missing: bool) -> None:
    marks = {"there": "✓", "lacking": "!", "missing": "✗"}
    for finding in diagnosis.findings:
        if only_missing and finding.verdict == "there":
            continue
        remedy = f"\n    → {finding.remedy}" if finding.remedy else ""
        typer.echo(f"{marks[finding.verdict]} {finding.name}: {finding.found}{remedy}")
    if diagnosis.is_well and not only_missing:
        typer.echo("nothing needed is missing: start the stack by `make up`")
