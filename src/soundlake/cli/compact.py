"""`soundlake compact`: one file of many in every hour that is over, and what the settings keep no longer let go of."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.upkeep import UpkeepReport


def run_compact(
    *,
    vacuum: Annotated[bool, typer.Option("--vacuum", help="Also delete old files that no commit names any more.")] = False,
    retention_hours: Annotated[int, typer.Option(min=1, help="How old such a file must be.")] = 24,
    retain: Annotated[
        bool,
        typer.Option("--retain", help="Also let go of rows and log records that the settings keep no longer."),
    ] = False,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="Go on until stopped, all of this so often; vacuum every six hours.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, or with --every one a round.")] = False,
) -> None:
    """Compact the partitions of bronze whose time is over; sinks and readers may run meanwhile."""
    from soundlake.cli.durations import parse_duration
    from soundlake.cli.stopping import stop_on_signal
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry
    from soundlake.wiring import open_upkeep

    settings = load_settings()
    with ExitStack() as stack:
        stop = None if every is None else stack.enter_context(stop_on_signal())
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
        told = {"files before": table.files_before, "files after": table.files_after, "files deleted": table.files_deleted}
        print_table(f"bronze/{table.table}", told)
    for title, counts in (("Rows kept no longer", report.rows_dropped), ("Log records kept no longer", report.records_trimmed)):
        if counts:
            print_table(title, counts)
    if not (touched or report.rows_dropped or report.records_trimmed):
        typer.echo("Nothing to do.")
