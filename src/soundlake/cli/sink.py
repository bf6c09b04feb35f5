"""`soundlake sink`: move what the event log holds into bronze, until stopped."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from soundlake.cli.stop_signals import set_event_on_signal

if TYPE_CHECKING:
    from soundlake.lake import Lake
    from soundlake.settings import Settings
    from soundlake.sink import SinkReport


_RETRY_SECONDS = 120.0
"""How long a run with an end retries when the log or the store does not answer; a run without an end retries until it is stopped."""


def run_sink(
    run_for: Annotated[str | None, typer.Option("--for", metavar="TIME", help="End after this time: 90s, 5m, 2h.")] = None,
    until_drained: Annotated[bool, typer.Option("--until-drained", help="End when everything that the log holds now is stored.")] = False,
    compact_every: Annotated[
        str, typer.Option(metavar="TIME", help="How often compaction and retention run (see compact); 0: never.")
    ] = "10m",
    accept_gap: Annotated[
        str | None,
        typer.Option(metavar="TOPIC[PARTITION]:FROM-TO", help="Accept the loss of these records, so that their topic continues; then end."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Move events from the log into bronze, each exactly once. Ctrl-C ends it after the current batch.

    A topic whose next record the log has deleted is stopped and the others continue; at the end the exit code is 3.
    """
    from soundlake.cli.durations import parse_duration
    from soundlake.cli.terminal import print_json, print_table, show_progress
    from soundlake.errors import UsageError

    if accept_gap is not None:
        if run_for is not None or until_drained:
            raise UsageError("--accept-gap moves no events", next_step="accept the gap first, then run the sink")
        _accept_gap(accept_gap, as_json=as_json)
        return
    for_seconds = None if run_for is None else parse_duration(run_for)
    compact_seconds = parse_duration(compact_every)
    with show_progress() as progress, set_event_on_signal() as stop:
        progress.begin("log → bronze")
        report = _run(
            stop, progress.advance, until_drained=until_drained, for_seconds=for_seconds, compact_seconds=compact_seconds
        )  # fmt: skip
        progress.end(f"{report.events:,} events, {report.rejected:,} rejected, {report.batches:,} batches")
    totals = {"events": report.events, "rejected": report.rejected, "batches": report.batches}
    if report.held_back or as_json:
        totals["held_back"] = report.held_back
    if as_json:
        print_json({**totals, "topics": {name: asdict(topic) for name, topic in report.topics.items()}})
    else:
        print_table("Stored in bronze", totals)


def _accept_gap(text: str, *, as_json: bool) -> None:
    from soundlake.cli.terminal import print_json, print_table
    from soundlake.settings import load_settings
    from soundlake.sink.accepted_gaps import Gap, accept_gap
    from soundlake.wiring import open_broker, open_lake

    gap, settings = Gap.parse(text), load_settings()
    with closing(open_broker(settings)) as broker:
        accepted = accept_gap(broker, open_lake(settings), gap)
    remaining = None if accepted.remaining is None else str(accepted.remaining)
    if as_json:
        print_json({"gap": str(gap), "lost": accepted.lost, "remaining": remaining})
    else:
        print_table("Accepted as lost", {str(gap): f"{accepted.lost:,} records", **({"still missing": remaining} if remaining else {})})


def _run(
    stop: threading.Event, on_progress: Callable[[int], None], *, until_drained: bool, for_seconds: float | None, compact_seconds: float
) -> SinkReport:
    from soundlake.errors import UsageError
    from soundlake.local_files import try_lock
    from soundlake.settings import load_settings
    from soundlake.sink.models import SINK_LOCK
    from soundlake.telemetry import open_telemetry
    from soundlake.wiring import build_sink, open_broker, open_upkeep

    settings = load_settings()
    retry_seconds = _RETRY_SECONDS if until_drained or for_seconds is not None else math.inf
    lock = settings.home_folder / SINK_LOCK
    with try_lock(lock) as is_free, open_telemetry(settings, "sink") as telemetry:
        if not is_free:
            raise UsageError(f"another sink of this home is running (it holds {lock})", next_step="leave it running, or stop it first")
        if telemetry is not None:
            telemetry.watch_sink()  # the metrics exist also while the sink still waits for its store
        lake = _open_lake(settings, retry_seconds, stop)
        broker = open_broker(settings)
        try:
            with ExitStack() as upkeep:
                if compact_seconds:
                    upkeep.enter_context(upkeep.enter_context(open_upkeep(settings, telemetry)).in_background(compact_seconds))
                sink = build_sink(settings, broker, lake, telemetry)
                return sink.run(
                    until_drained=until_drained,
                    stop=stop,
                    for_seconds=for_seconds,
                    on_progress=on_progress,
                    retry_seconds=retry_seconds,
                )
        finally:
            broker.close()


def _open_lake(settings: Settings, retry_seconds: float, stop: threading.Event) -> Lake:
    """The lake; retried while its store does not answer. Wrong settings are raised at once."""
    from soundlake.sink.outage_retries import retry_outages
    from soundlake.wiring import open_lake

    return retry_outages(retry_seconds, stop)(open_lake, settings)
