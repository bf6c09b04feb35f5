"""`soundlake demo`: the whole pipeline on this machine, with synthetic listeners or a person's own export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundlake.cli.stop_signals import leave_on_signal
from soundlake.cli.terminal import print_json, print_table, show_progress

if TYPE_CHECKING:
    from soundlake.operations.demo.build import Demo, DemoSummary
    from soundlake.progress import Reporter


def run_demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Exit after the build, with a summary.")] = False,
    from_export: Annotated[
        Path | None, typer.Option("--from-export", help="A person's history (Spotify, ListenBrainz, Last.fm): a folder, a zip or a file.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="The listener's name in that export; default: me.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="With --from-export: no synthetic listeners beside the person.")] = False,
    listeners: Annotated[int | None, typer.Option("--listeners", help="Synthetic listeners.")] = None,
    days: Annotated[int | None, typer.Option("--days", help="Days of their history, ending yesterday.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the synthetic data.")] = None,
    spotify: Annotated[
        bool, typer.Option("--spotify/--no-spotify", help="Collect from Spotify, or from a fake one where SPOTIFY_CLIENT_ID is not set.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Run the whole pipeline on this machine: listening history → lake → silver → gold → recommendations → dashboard."""
    from soundlake import wiring
    from soundlake.errors import UsageError
    from soundlake.operations.demo.build import ignore_others
    from soundlake.operations.demo.live import choose_ports, run_live, run_services
    from soundlake.operations.generator.state import GeneratorOptions
    from soundlake.operations.spotify_services import is_installed
    from soundlake.settings import load_settings

    if from_export is None and (user is not None or alone):
        raise UsageError("--user and --alone go with --from-export", next_step="name the export's folder or zip")
    options = GeneratorOptions(from_export, user or "me", alone, listeners, days, seed)
    settings = options.set_home(load_settings())
    has_spotify = spotify and from_export is None and is_installed()
    with wiring.open_demo(settings, options) as demo:
        if once:
            _print_summary(_build(demo), as_json=as_json)
            return
        settings = choose_ports(settings)
        with run_services(settings, has_spotify=has_spotify) as supervisor:
            await_others = wiring.make_history_wait(settings) if has_spotify else ignore_others
            _print_summary(_build(demo, await_others), as_json=as_json)
            with leave_on_signal():
                run_live(demo, settings, supervisor, lambda line: typer.echo(line, err=True), has_spotify=has_spotify)


def _build(demo: Demo, *await_others: Callable[[Reporter], None]) -> DemoSummary:
    with show_progress() as reporter:
        return demo.build(reporter, *await_others)


def _print_summary(summary: DemoSummary, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(summary))
        return
    rows: dict[str, Any] = {"in": summary.home, "snapshot": summary.snapshot, "events published now": summary.events_published}
    rows |= {name.replace("_", " "): count for name, count in summary.counts.items()}
    rows |= {f"seconds, {step}": seconds for step, seconds in summary.seconds.items()}
    print_table("Soundlake demo", rows)
