"""`soundlake check`: compare the counts of log, bronze, silver and gold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from soundlake.cli.terminal import format_value, print_json, print_table, show_progress

if TYPE_CHECKING:
    from soundlake.reconciliation import Check, CheckReport

EXIT_MISMATCH = 3


def run_check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Compare the counts of log, bronze, silver and gold, and show rejected and flagged rows and the age of the data.

    Exit code 0 if all counts match, 3 if any does not, 1 if nothing was built yet or a server does not answer.
    """
    from soundlake import wiring
    from soundlake.settings import load_settings

    with show_progress() as reporter:
        report = wiring.check_everything(load_settings(), reporter)
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(EXIT_MISMATCH)


def _print_report(report: CheckReport) -> None:
    failed = sum(not check.ok for check in report.checks)
    title = f"Checks: {failed} of {len(report.checks)} FAILED" if failed else f"Checks: all {len(report.checks)} ok"
    print_table(title, {check.name: _describe(check) for check in report.checks})
    print_table("Records that could not be decoded, by reason", report.undecodable_by_reason or {"none": ""})
    print_table("Rows rejected, by rule", report.rejected_by_rule or {"none": ""})
    print_table("Rows flagged, by rule", report.flagged_by_rule or {"none": ""})
    freshness = report.freshness
    age = freshness.snapshot_age_seconds
    print_table(
        "Freshness",
        {
            "newest row in bronze": freshness.newest_in_bronze or "none",
            "snapshot": freshness.snapshot or "none",
            "age of the snapshot": "unknown" if age is None else f"{format_value(age)} s",
            "records waiting in the log": freshness.records_waiting_in_log,
            "rows waiting in bronze": freshness.rows_waiting_in_bronze,
        },
    )


def _describe(check: Check) -> str:
    parts = ", ".join(f"{name} {count:,}" for name, count in check.parts.items())
    result = "ok" if check.ok else f"FAILED: expected {check.expected:,}, found {check.found:,}"
    return f"{result} ({parts})" if parts else result
