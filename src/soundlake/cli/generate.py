"""`soundlake generate`: synthetic listening events to the event log, to files, or live."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundlake.cli.generate_options import ExportGeneration, Form, Profile, name_view

if TYPE_CHECKING:
    from soundlake.cli.terminal import ProgressReporter
    from soundlake.generator import GeneratorConfig
    from soundlake.generator.output.event_files import EventFile, EventFolder
    from soundlake.generator.output.runs import Clock, RunOptions, ShowProgress
    from soundlake.generator.output.truth import TruthFolder
    from soundlake.generator.output.views import ViewFolder


SLOWEST, FASTEST = 0.01, 100_000


def run_generate(
    *,
    listeners: Annotated[int, typer.Option(help="Number of listeners.")] = 1_000,
    days: Annotated[int, typer.Option(help="Number of days.")] = 30,
    seed: Annotated[int, typer.Option(help="Seed of the simulated world: the same seed gives the same events.")] = 42,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC; by default the run ends yesterday.")] = None,
    tracks: Annotated[int, typer.Option(help="Number of tracks in the made-up catalogue.")] = 20_000,
    catalog: Annotated[Path | None, typer.Option(help="Parquet or CSV file with real tracks, instead of made-up ones.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="A file (.parquet, .ndjson, .ndjson.gz), - for NDJSON on standard output, or a folder (ends in /) for Parquet files; "
            "default: the event log."
        ),
    ] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="Content of --out: events, or the plays as a source shows them, with its known faults, in the form its importer reads.",
        ),
    ] = Form.EVENTS,
    generation: Annotated[
        ExportGeneration, typer.Option(help="With --as spotify-export: the generation of the export (short: account data).")
    ] = ExportGeneration.Y2024,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the ground truth: events sent, injected faults, true preferences of the listeners; "
            "with --as, the true play of each row."
        ),
    ] = None,
    processes: Annotated[int, typer.Option(help="Number of worker processes; the events do not depend on it.")] = 1,
    events: Annotated[int | None, typer.Option(help="Stop after this number of events.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Publish live events until Ctrl-C, from now or from where the last live run stopped.")
    ] = False,
    speed: Annotated[
        float | None, typer.Option(help="With --live: speed of simulated time until it has caught up with the present.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Maximum events per second, to the event log.")] = None,
    faults: Annotated[Profile, typer.Option(help="Profile of injected faults; the options below override single rates.")] = Profile.NONE,
    duplicates: Annotated[float | None, typer.Option(help="Rate of events sent twice.")] = None,
    copies: Annotated[float | None, typer.Option(help="Rate of events sent again with a new id.")] = None,
    late: Annotated[float | None, typer.Option(help="Rate of events sent minutes to weeks late.")] = None,
    disorder: Annotated[float | None, typer.Option(help="Rate of events sent out of order.")] = None,
    odd: Annotated[float | None, typer.Option(help="Rate of events with unknown or missing fields, or implausible numbers.")] = None,
    malformed: Annotated[float | None, typer.Option(help="Rate of additional records that cannot be decoded.")] = None,
    clock_skew: Annotated[float | None, typer.Option(help="Share of the listeners whose clock is wrong.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only estimate the number of events, bytes and minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Generate synthetic listening events: publish them to the event log, or write them to files."""
    from soundlake.cli.terminal import print_json, print_table, show_progress
    from soundlake.generator import GeneratorConfig, make_world
    from soundlake.generator.output.estimate import estimate_run
    from soundlake.generator.output.fault_injection import PROFILES
    from soundlake.generator.output.runs import RunOptions

    shares = {"duplicates": duplicates, "copies": copies, "late": late, "disorder": disorder, "odd": odd, "malformed": malformed}
    shares |= {"clock_skew": clock_skew}
    chosen = replace(PROFILES[faults.value], **{name: share for name, share in shares.items() if share is not None})
    options = RunOptions(processes=processes, events=events, rate=rate, faults=chosen)
    _check_options(options, out=out, form=form, generation=generation, live=live, speed=speed)
    config = GeneratorConfig(listeners=listeners, days=days, seed=seed, tracks=tracks, catalog=catalog)
    config = config.end_before(datetime.now(UTC).date()) if start is None else replace(config, start=start.date())
    with show_progress() as reporter:
        if plan:
            summary = estimate_run(make_world(config), time.monotonic)
        elif out is not None:
            view = name_view(form, generation)
            summary = _write_files(config, truth, options, reporter, out=out, view=view)
        else:
            summary = _publish(config, truth, options, reporter, live_speed=(speed or 1.0) if live else None)
    if out == "-" and not plan:
        return
    if as_json:
        print_json(summary)
    else:
        print_table("Estimate" if plan else "Generated", {name.replace("_", " "): value for name, value in summary.items()})
    if summary.get("failed") or summary.get("unsure"):
        raise typer.Exit(1)


def _check_options(
    options: RunOptions, *, out: str | None, form: Form, generation: ExportGeneration, live: bool, speed: float | None
) -> None:  # fmt: skip
    """Check that the options can be combined. Raises UsageError."""
    from soundlake.errors import UsageError

    if form is not Form.EVENTS and out in (None, "-"):
        raise UsageError(f"--as {form} needs a folder", next_step="add --out with a new or empty folder")
    if generation is not ExportGeneration.Y2024 and form is not Form.SPOTIFY_EXPORT:
        raise UsageError(f"--generation {generation} is for Spotify's exports", next_step="add --as spotify-export")
    if out is not None and live:
        raise UsageError("--live publishes to the event log, --out writes files", next_step="choose one of the two")
    if out is not None and options.rate is not None:
        raise UsageError("--rate is for the event log, --out writes files", next_step="choose one of the two")
    if out is not None and options.faults.malformed and not (form is Form.EVENTS and out.endswith((".ndjson", ".ndjson.gz", "-"))):
        raise UsageError(
            f"--malformed {options.faults.malformed}: malformed records cannot be written to {out}",
            next_step="write NDJSON, or add --malformed 0",
        )
    if live and (options.faults.any or options.events is not None or options.processes > 1):
        raise UsageError(
            "faults, --events and --processes cannot be combined with --live", next_step="leave out --live, or the other options"
        )
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise UsageError(f"--speed {speed}: out of range", next_step=f"choose a number from {SLOWEST} to {FASTEST:,}")
    if speed is not None and not live:
        raise UsageError("--speed needs --live", next_step="add --live, or limit a run with --rate")


def _write_files(
    config: GeneratorConfig, truth_folder: Path | None, options: RunOptions, reporter: ProgressReporter, *, out: str, view: str | None
) -> dict[str, Any]:
    """Write files; the summary."""
    from soundlake.generator import make_world
    from soundlake.generator.output.destinations import FileDestination
    from soundlake.generator.output.runs import write_files

    truth = _open_truth(truth_folder)
    with _open_writer(out, view, config.seed, truth) as writer:
        destination = FileDestination(writer, truth)
        tally = write_files(make_world(config), destination, _make_clock(), _show_on(reporter), options)
    reporter.end(tally.format_progress(0))
    return {**tally.describe(), "broken": tally.broken, "out": out, "truth": truth_folder and str(truth_folder)}


def _open_writer(out: str, view: str | None, seed: int, truth: TruthFolder | None) -> ViewFolder | EventFolder | EventFile:
    from soundlake.generator.output.event_files import EventFile, EventFolder
    from soundlake.generator.output.views import ViewFolder, list_views

    if view is not None:
        record = None if truth is None else truth.record_observations
        return ViewFolder(Path(out), list_views()[view], seed=seed, record_rows=record)
    return EventFolder(out) if out.endswith("/") or Path(out).is_dir() else EventFile(out)


def _open_truth(folder: Path | None) -> TruthFolder | None:
    from soundlake.generator.output.truth import TruthFolder

    return None if folder is None else TruthFolder(folder, _make_clock().now().strftime("%Y%m%dT%H%M%S%fZ"))


def _publish(
    config: GeneratorConfig, truth_folder: Path | None, options: RunOptions, reporter: ProgressReporter, *, live_speed: float | None
) -> dict[str, Any]:
    """Publish to the event log, the days of a run or live at a speed; the summary."""
    from soundlake import wiring
    from soundlake.generator import make_world
    from soundlake.generator.output.destinations import BrokerDestination
    from soundlake.generator.output.live_state import LiveState
    from soundlake.generator.output.runs import publish_days, publish_live
    from soundlake.settings import load_settings

    settings, clock = load_settings(), _make_clock()
    truth = _open_truth(truth_folder)
    world = make_world(config)
    broker = wiring.open_broker(settings)
    try:
        destination = BrokerDestination(wiring.open_publisher(settings, broker), truth)
        if live_speed is None:
            tally = publish_days(world, destination, clock, _show_on(reporter), options)
        else:
            state = LiveState(settings.home.expanduser() / "generator", config)
            tally = publish_live(world, destination, state, clock, _show_on(reporter), speed=live_speed, rate=options.rate)
    finally:
        broker.close()
    reporter.end(tally.format_progress(0))
    return {**tally.describe(), **tally.describe_outcomes(), "truth": truth_folder and str(truth_folder)}


def _make_clock() -> Clock:
    from soundlake.generator.output.runs import Clock, read_utc_now

    return Clock(time.monotonic, time.sleep, read_utc_now)


def _show_on(reporter: ProgressReporter) -> ShowProgress:
    """Show progress on a reporter, as one step."""
    has_begun = False

    def advance(done: int, total: int | None, text: str) -> None:
        nonlocal has_begun
        if not has_begun:
            reporter.begin("generating", total=total)
            has_begun = True
        reporter.advance(done, text)

    return advance
