"""`soundlake import …`: import listening history from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundlake.cli.terminal import print_json, print_table, show_progress

if TYPE_CHECKING:
    from soundlake.importing import ImportReport

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Parquet or NDJSON (.jsonl; .gz, .zst too).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]
_NAMES_SHOWN = 10


def run_import_spotify_export(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Folders, zips as downloaded, or single files.", show_default=False)],
    *,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="NAME",
            help="The listener that all files belong to. Without it, a folder of history files is one listener with the folder's name, "
            "and in a folder of folders each one is a listener; a zip or a single file needs --user.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Import Spotify exports, extended and short form of all years. Importing the same files again stores nothing.

    Exit code 3 if a file is broken (it is named, the others are imported) or none of the files has listening history.
    """
    from soundlake import wiring
    from soundlake.settings import load_settings

    with show_progress() as reporter, wiring.open_importer(load_settings(), reporter) as importer:
        report = importer.import_spotify_exports(paths, user)
    _finish(report, as_json=as_json)


def run_import_events(files: Files, *, as_json: Json = False) -> None:
    """Import events in the fields of docs/event.schema.json; unknown fields are kept. Importing the same files again stores nothing.

    Exit code 3 if a file is broken (it is named, the others are imported).
    """
    from soundlake import wiring
    from soundlake.settings import load_settings

    with show_progress() as reporter, wiring.open_importer(load_settings(), reporter) as importer:
        report = importer.import_events(files)
    _finish(report, as_json=as_json)


def _finish(report: ImportReport, *, as_json: bool) -> None:
    counts = report.as_json()
    if as_json:
        print_json(counts)
    else:
        _print_tables(counts)
    for broken in report.files_broken:
        typer.echo(f"error: {broken}", err=True)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _print_tables(counts: dict[str, Any]) -> None:
    files = {name: counts.pop(name) for name in ("files_read", "files_left_out", "files_broken")}
    listeners, reasons = counts.pop("listeners"), counts.pop("refused_by_reason")
    rows = {name.replace("_", " "): value for name, value in counts.items() if value is not None}
    rows |= {f"refused: {reason.replace('_', ' ')}": count for reason, count in reasons.items()}
    rows |= {"files read": len(files["files_read"]), "files left out": _list_names(files["files_left_out"])}
    print_table("Import", rows)
    for listener in listeners[:_NAMES_SHOWN]:
        print_table(listener["listener"], {name: listener[name] for name in ("rows_read", "rows_stored", "rows_duplicate", "rows_refused")})
    if len(listeners) > _NAMES_SHOWN:
        typer.echo(f"… and {len(listeners) - _NAMES_SHOWN:,} more listeners (--json has all)")


def _list_names(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN]) or "none"
    return shown if len(names) <= _NAMES_SHOWN else f"{shown}, and {len(names) - _NAMES_SHOWN:,} more"
