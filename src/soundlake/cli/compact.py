"""`soundlake compact`: one file of many in every hour that is over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer


def run_compact(
    vacuum: Annotated[bool, typer.Option("--vacuum", help="Also delete old files that no commit names any more.")] = False,
    retention_hours: Annotated[int, typer.Option(min=1, help="How old such a file must be.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compact the partitions of bronze whose time is over; sinks may run meanwhile."""
    from soundlake.broker.protocol import read_utc_now
    from soundlake.cli.terminal import print_json, print_table
    from soundlake.settings import load_settings
    from soundlake.wiring import open_lake

    lake = open_lake(load_settings())
    tables = lake.compact(read_utc_now(), vacuum_retention_hours=retention_hours if vacuum else None)
    if as_json:
        print_json({"tables": [asdict(table) for table in tables]})
        return
    for table in tables:
        if table.files_before or table.files_deleted:
            told = {"files before": table.files_before, "files after": table.files_after, "files deleted": table.files_deleted}
            print_table(f"bronze/{table.table}", told)
    if not any(table.files_before or table.files_deleted for table in tables):
        typer.echo("Nothing to compact.")
