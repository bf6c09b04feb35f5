"""`soundlake import …`: import listening history from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from soundlake.cli.terminal import print_json, print_table, show_progress

if TYPE_CHECKING:
    from soundlake.importing import ImportReport

Paths = Annotated[list[Path], typer.Argument(metavar="PATH…", help="Folders, zips as downloaded, or single files.", show_default=False)]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="The listener that all files belong to. Without it, a folder of history files is one listener with the folder's name, and in "
        "a folder of folders or zips each one is a listener; a zip or a single file needs --user.",
    ),
]
EventPaths = Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or folders of parts.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]
_NAMES_SHOWN = 10
ANY = "any"
"""The command that is meant where none is named: `soundlake import PATH…`."""


class ImportGroup(TyperGroup):
    """The commands of `soundlake import`; a first word that is none of them is a path for the command ANY."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # typer hides its own click
        """Name the command that is meant."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [ANY, *args]
        return super().parse_args(ctx, args)


def run_import_any(paths: Paths, *, user: User = None, as_json: Json = False) -> None:
    """Import history of any kind: every file is recognised by its content. What is no history is left out and named.

    Importing the same files again stores nothing. Exit code 3 if a file is broken (it is named, the others are imported) or none of the
    files has listening history.
    """
    _import_history(paths, user, None, as_json=as_json)


def run_import_spotify_export(paths: Paths, *, user: User = None, as_json: Json = False) -> None:
    """Import Spotify exports, extended and short form of all years. Importing the same files again stores nothing.

    Exit code 3 if a file is broken (it is named, the others are imported) or none of the files has listening history.
    """
    _import_history(paths, user, "spotify_export", as_json=as_json)


def run_import_listenbrainz(paths: Paths, *, user: User = None, as_json: Json = False) -> None:
    """Import ListenBrainz exports: the zip, its folder, or single files of listens. Importing the same files again stores nothing.

    Exit code 3 if a file is broken (it is named, the others are imported) or none of the files has listens.
    """
    _import_history(paths, user, "listenbrainz", as_json=as_json)


def run_import_lastfm(paths: Paths, *, user: User = None, as_json: Json = False) -> None:
    """Import Last.fm scrobbles, as the usual tools save them: CSV with or without a header, or JSON.

    Importing the same files again stores nothing. Exit code 3 if a file is broken (it is named, the others are imported) or none of the
    files has scrobbles.
    """
    _import_history(paths, user, "lastfm", as_json=as_json)


def _import_history(paths: list[Path], user: str | None, source: str | None, *, as_json: bool) -> None:
    from soundlake import wiring
    from soundlake.settings import load_settings

    with show_progress() as reporter, wiring.open_importer(load_settings(), reporter) as importer:
        report = importer.import_history(paths, user, source=source)
    _finish(report, as_json=as_json)


def run_import_events(paths: EventPaths, *, as_json: Json = False) -> None:
    """Import events in the fields of docs/event.schema.json, written by other tools; unknown fields are kept.

    NDJSON, JSON arrays, CSV with a header and Parquet, also packed (gzip, zstd, bzip2), are recognised by their content. A time without a
    zone is in UTC. Importing the same files again stores nothing. Exit code 3 if a file is broken (it is named, the others are imported)
    or a folder holds no events.
    """
    from soundlake import wiring
    from soundlake.settings import load_settings

    with show_progress() as reporter, wiring.open_importer(load_settings(), reporter) as importer:
        report = importer.import_events(paths)
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
    files = {name: counts.pop(name) for name in ("files_read", "files_left_out", "left_out_because", "files_broken")}
    sources, listeners, reasons, notes = (counts.pop(name) for name in ("sources", "listeners", "refused_by_reason", "notes"))
    rows = {name.replace("_", " "): value for name, value in counts.items() if value is not None}
    rows |= {f"refused: {reason.replace('_', ' ')}": count for reason, count in reasons.items()}
    left_out = [f"{name} ({reason})" for name, reason in files["left_out_because"].items()]
    rows |= {"files read": len(files["files_read"]), "files left out": _list_names(left_out)}
    print_table("Import", rows)
    for note in notes:
        typer.echo(note)
    for title, part in [(one["source"], one) for one in sources] + [(one["listener"], one) for one in listeners[:_NAMES_SHOWN]]:
        print_table(title, {name: part[name] for name in ("rows_read", "rows_stored", "rows_duplicate", "rows_refused")})
    if len(listeners) > _NAMES_SHOWN:
        typer.echo(f"… and {len(listeners) - _NAMES_SHOWN:,} more listeners (--json has all)")


def _list_names(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN]) or "none"
    return shown if len(names) <= _NAMES_SHOWN else f"{shown}, and {len(names) - _NAMES_SHOWN:,} more"
