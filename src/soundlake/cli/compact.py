"""`soundlake compact`: compact bronze, vacuum old files, delete rows and log records past retention."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.upkeep import UpkeepReport


def run_compact(
    *,
    vacuum: Annotated[bool, typer.Option("--vacuum", help="Also delete old files that are part of no commit.")] = False,
    retention_hours: Annotated[int, typer.Option(min=1, help="Minimum age of the files that --vacuum deletes.")] = 24,
    retain: Annotated[
        bool,
        typer.Option("--retain", help="Also delete rows and log records past the retention in the settings."),
    ] = False,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="TIME", help="Run until stopped: all of this every TIME (10m), and vacuum every six hours."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; with --every, one for each round.")] = False,
) -> None:
    """Compact the finished hours of bronze into one file each. Sinks and readers may run meanwhile."""
    from soundlake.cli.durations import parse_duration
    from soundlake.cli.stop_signals import set_event_on_signal
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry
    from soundlake.wiring import open_upkeep

    settings = load_settings()
    with ExitStack() as stack:
        stop = None if every is None else stack.enter_context(set_event_on_signal())
        telemetry = stack.enter_context(open_telemetry(settings, "upkeep"))
        upkeep = stack.enter_context(open_upkeep(settings, telemetry, vacuum_hours=retention_hours))
        if every is None or stop is None:
            _print_round(upkeep.run_once(vacuum=vacuum, retain=retain), as_json=as_json)
        else:
            upkeep.run_every(parse_duration(every), stop, lambda report: _print_round(report, as_json=as_json))


def _print_round(report: UpkeepReport, *, as_json: bool) -> None:
    from soundlake.cli.terminal import print_json, print_table

    if as_json:
        print_json(asdict(report))
        return
    touched = [table for table in report.tables if table.files_before or table.files_deleted]
    for table in touched:
        counts = {"files before": table.files_before, "files after": table.files_after, "files deleted": table.files_deleted}
        print_table(f"bronze/{table.table}", counts)
    for title, counts in (
        ("Rows deleted past retention", report.rows_dropped),
        ("Log records deleted past retention", report.records_trimmed),
    ):
        if counts:
            print_table(title, counts)
    if not (touched or report.rows_dropped or report.records_trimmed):
        typer.echo("nothing to do")
