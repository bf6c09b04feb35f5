"""`soundlake check`: does everything add up?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from soundlake.cli.terminal import print_json, print_table, show_progress

if TYPE_CHECKING:
    from soundlake.reconciliation import CheckReport

EXIT_DOES_NOT_ADD_UP = 3


def run_check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Does everything add up? Log, bronze, silver and gold are counted against each other; exit code 3 if not."""
    from soundlake import wiring
    from soundlake.settings import load_settings

    with show_progress() as reporter:
        report = wiring.check_everything(load_settings(), reporter)
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(EXIT_DOES_NOT_ADD_UP)


def _print_report(report: CheckReport) -> None:
    sums = {}
    for check in report.checks:
        parts = ", ".join(f"{name} {count:,}" for name, count in check.parts.items())
        verdict = "adds up" if check.ok else f"DOES NOT ADD UP: expected {check.expected:,}, found {check.found:,}"
        sums[check.name] = f"{verdict} ({parts})"
    print_table("Sums", sums)
    print_table("Undecodable, by reason", report.undecodable_by_reason or {"none": ""})
    print_table("Rejected, by rule", report.rejected_by_rule or {"none": ""})
    print_table("Flagged, by rule", report.flagged_by_rule or {"none": ""})
    fresh = report.freshness
    print_table(
        "Freshness",
        {
            "newest row in bronze": fresh.newest_in_bronze,
            "snapshot": fresh.snapshot,
            "snapshot's age, seconds": fresh.snapshot_age_seconds,
            "records waiting in the log": fresh.records_waiting_in_log,
            "rows waiting in bronze": fresh.rows_waiting_in_bronze,
        },
    )
