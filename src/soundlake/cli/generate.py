"""`soundlake generate`: synthetic listeners, to the event log, to files, or live."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from soundlake.cli.terminal import ProgressReporter
    from soundlake.generator import GeneratorConfig
    from soundlake.generator.output.event_files import EventFile, EventFolder
    from soundlake.generator.output.export_files import ExportFolders
    from soundlake.generator.output.runs import RunOptions, Tell, Time
    from soundlake.generator.output.truth import TruthFolder


SLOWEST, FASTEST = 0.01, 100_000


class Profile(StrEnum):
    """How much goes wrong."""

    NONE = "none"
    MILD = "mild"
    HARSH = "harsh"


class Form(StrEnum):
    """What `--out` holds."""

    EVENTS = "events"
    SPOTIFY_EXPORT = "spotify-export"


def run_generate(
    *,
    listeners: Annotated[int, typer.Option(help="How many listeners.")] = 1_000,
    days: Annotated[int, typer.Option(help="How many days of their listening.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed is another world.")] = 42,
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC; default: so that it ends yesterday.")
    ] = None,
    tracks: Annotated[int, typer.Option(help="Size of the made-up catalogue.")] = 20_000,
    catalog: Annotated[Path | None, typer.Option(help="A Parquet or CSV file of tracks instead.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="A file (.parquet, .ndjson, .ndjson.gz), - for NDJSON, or a folder (ends in /: Parquet files); default: the log."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--as", help="What --out holds.")] = Form.EVENTS,
    truth: Annotated[Path | None, typer.Option(help="Write down here what was sent, its faults, and what listeners truly prefer.")] = None,
    processes: Annotated[int, typer.Option(help="Processes that make the events; they are the same ones whatever their number.")] = 1,
    events: Annotated[int | None, typer.Option(help="Stop after so many events.")] = None,
    live: Annotated[bool, typer.Option("--live", help="From now, or where the last live run stopped, until Ctrl-C.")] = False,
    speed: Annotated[float | None, typer.Option(help="With --live: how fast to catch up with the present.")] = None,
    rate: Annotated[float | None, typer.Option(help="At most so many events a second, into the log.")] = None,
    faults: Annotated[Profile, typer.Option(help="How much goes wrong on the way.")] = Profile.NONE,
    duplicates: Annotated[float | None, typer.Option(help="Share of the events sent twice.")] = None,
    copies: Annotated[float | None, typer.Option(help="Share sent again under a new id.")] = None,
    late: Annotated[float | None, typer.Option(help="Share sent minutes to weeks late.")] = None,
    disorder: Annotated[float | None, typer.Option(help="Share sent out of order.")] = None,
    odd: Annotated[float | None, typer.Option(help="Share with unknown or missing fields, or absurd numbers.")] = None,
    malformed: Annotated[float | None, typer.Option(help="Share beside which a record is sent that cannot be decoded.")] = None,
    clock_skew: Annotated[float | None, typer.Option(help="Share of the listeners whose clock is wrong.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say about how many events, bytes and minutes it would be.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Make synthetic listeners and what they hear; publish it, or write it to files."""
    from soundlake.cli.terminal import print_json, print_table, show_progress
    from soundlake.generator import GeneratorConfig, make_world
    from soundlake.generator.output.estimate import estimate_run
    from soundlake.generator.output.fault_injection import PROFILES
    from soundlake.generator.output.runs import RunOptions

    shares = {"duplicates": duplicates, "copies": copies, "late": late, "disorder": disorder, "odd": odd, "malformed": malformed}
    shares |= {"clock_skew": clock_skew}
    chosen = replace(PROFILES[faults.value], **{name: share for name, share in shares.items() if share is not None})
    order = RunOptions(processes=processes, events=events, rate=rate, faults=chosen)
    _check_options(order, out=out, form=form, live=live, speed=speed)
    config = GeneratorConfig(listeners=listeners, days=days, seed=seed, tracks=tracks, catalog=catalog)
    config = config.ending(datetime.now(UTC).date()) if start is None else replace(config, start=start.date())
    with show_progress() as reporter:
        if plan:
            summary = estimate_run(make_world(config), time.monotonic)
        elif out is not None:
            summary = _write_files(config, truth, order, reporter, out=out, form=form)
        else:
            summary = _publish(config, truth, order, reporter, live_speed=(speed or 1.0) if live else None)
    if out == "-" and not plan:
        return
    if as_json:
        print_json(summary)
    else:
        print_table("Planned" if plan else "Generated", {name.replace("_", " "): value for name, value in summary.items()})
    if summary.get("failed") or summary.get("unsure"):
        raise typer.Exit(1)


def _check_options(order: RunOptions, *, out: str | None, form: Form, live: bool, speed: float | None) -> None:
    """Refuse options that do not go together. Raises UsageError."""
    from soundlake.errors import UsageError

    if form is Form.SPOTIFY_EXPORT and out in (None, "-"):
        raise UsageError("--as spotify-export: no place to write to", next_step="add --out with a folder that is new or empty")
    if out is not None and live:
        raise UsageError("--live goes into the log, --out into files", next_step="choose one of the two")
    if out is not None and order.rate is not None:
        raise UsageError("--rate goes into the log, --out into files", next_step="choose one of the two")
    if out is not None and order.faults.malformed and not (form is Form.EVENTS and out.endswith((".ndjson", ".ndjson.gz", "-"))):
        raise UsageError(
            f"--malformed {order.faults.malformed}: broken records have no place in {out}", next_step="write NDJSON, or add --malformed 0"
        )
    if live and (order.faults.any or order.events is not None or order.processes > 1):
        raise UsageError("faults, --events and --processes are for the days of a run, not for --live", next_step="leave one of the two out")
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise UsageError(f"--speed {speed}: not possible", next_step=f"choose a number from {SLOWEST} to {FASTEST:,}")
    if speed is not None and not live:
        raise UsageError("--speed goes with --live", next_step="add --live, or bound a run with --rate")


def _write_files(
    config: GeneratorConfig, truth_folder: Path | None, order: RunOptions, reporter: ProgressReporter, *, out: str, form: Form
) -> dict[str, Any]:
    """Into files; what became of it."""
    from soundlake.generator import make_world
    from soundlake.generator.output.runs import FileDestination, write_files

    with _open_writer(out, form) as writer:
        tally = write_files(make_world(config), FileDestination(writer, _open_truth(truth_folder)), _own_time(), _show(reporter), order)
    reporter.end(tally.tell(0))
    return {**tally.describe(), "broken": tally.broken, "out": out, "truth": truth_folder and str(truth_folder)}


def _open_writer(out: str, form: Form) -> ExportFolders | EventFolder | EventFile:
    from soundlake.generator.output.event_files import EventFile, EventFolder
    from soundlake.generator.output.export_files import ExportFolders

    if form is Form.SPOTIFY_EXPORT:
        return ExportFolders(Path(out))
    return EventFolder(out) if out.endswith("/") or Path(out).is_dir() else EventFile(out)


def _open_truth(folder: Path | None) -> TruthFolder | None:
    from soundlake.generator.output.truth import TruthFolder

    return None if folder is None else TruthFolder(folder, _own_time().now().strftime("%Y%m%dT%H%M%S%fZ"))


def _publish(
    config: GeneratorConfig, truth_folder: Path | None, order: RunOptions, reporter: ProgressReporter, *, live_speed: float | None
) -> dict[str, Any]:
    """Into the log: the days of a run, or live at that speed."""
    from soundlake import wiring
    from soundlake.generator import make_world
    from soundlake.generator.output.live_state import LiveState
    from soundlake.generator.output.runs import BrokerDestination, publish_days, publish_live
    from soundlake.settings import load_settings

    settings, own_time = load_settings(), _own_time()
    truth = _open_truth(truth_folder)
    world = make_world(config)
    broker = wiring.open_broker(settings)
    try:
        destination = BrokerDestination(wiring.open_publisher(broker), truth)
        if live_speed is None:
            tally = publish_days(world, destination, own_time, _show(reporter), order)
        else:
            state = LiveState(settings.home.expanduser() / "generator", config)
            tally = publish_live(world, destination, state, own_time, _show(reporter), speed=live_speed, rate=order.rate)
    finally:
        broker.close()
    reporter.end(tally.tell(0))
    return {**tally.describe(), **tally.describe_account(), "truth": truth_folder and str(truth_folder)}


def _own_time() -> Time:
    from soundlake.generator.output.runs import Time, read_utc_now

    return Time(time.monotonic, time.sleep, read_utc_now)


def _show(reporter: ProgressReporter) -> Tell:
    begun = False

    def tell(done: int, total: int | None, words: str) -> None:
        nonlocal begun
        if not begun:
            reporter.begin("generating", total=total)
            begun = True
        reporter.advance(done, words)

    return tell
