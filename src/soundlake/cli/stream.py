"""`soundlake stream`: the Spark job over all topics, until stopped."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated

import typer

from soundlake.cli.stop_signals import set_event_on_signal

_LOCK_NAME = "stream-{}.lock"
"""A file in the home: the process that runs the streaming query of that name holds its lock."""


class Query(StrEnum):
    """The queries of the job."""

    PROCESSED = "processed"
    LIVE = "live"
    NOW_PLAYING = "now_playing"


def run_stream(
    queries: Annotated[
        list[Query] | None,
        typer.Argument(help="processed: tables in the lake; live: metrics to Redis; now_playing: topic to topic. Default: all."),
    ] = None,
    run_for: Annotated[str | None, typer.Option("--for", metavar="TIME", help="End after this time: 90s, 5m, 2h.")] = None,
    until_drained: Annotated[
        bool, typer.Option("--until-drained", help="End when everything that the log holds now is processed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Process events with Spark as they arrive. Ctrl-C ends it, and the next run resumes."""
    from soundlake import wiring
    from soundlake.cli.durations import parse_duration
    from soundlake.cli.terminal import print_json, print_table, show_progress
    from soundlake.errors import UsageError
    from soundlake.local_files import try_lock
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    names = [query.value for query in queries or Query]
    if until_drained and Query.NOW_PLAYING in names:
        raise UsageError(
            "--until-drained: now_playing runs in real-time mode, which has no end",
            next_step="name the other queries: soundlake stream processed live --until-drained",
        )
    settings, for_seconds = load_settings(), None if run_for is None else parse_duration(run_for)
    with ExitStack() as stack, show_progress() as progress, set_event_on_signal() as stop:
        telemetry = stack.enter_context(open_telemetry(settings, "stream"))
        for name in names:
            if not stack.enter_context(try_lock(settings.home_folder / _LOCK_NAME.format(name))):
                raise UsageError(f"the query {name} of this home is already running", next_step="leave it running, or stop it first")
        progress.begin("log → processed")
        with wiring.open_stream(settings, names, telemetry) as job:
            report = job.run(names, stop=stop, until_drained=until_drained, for_seconds=for_seconds, on_progress=progress.advance)
        progress.end(f"{sum(report.records.values()):,} records")
    if as_json:
        print_json({"records": dict(report.records)})
    else:
        print_table("Records read", report.records)
