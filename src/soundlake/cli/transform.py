"""`soundlake transform` and `soundlake dbt`: build silver and gold from bronze, and publish them."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, repeat
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundlake.cli.stop_signals import set_event_on_signal
from soundlake.cli.terminal import print_json, print_table, show_progress

if TYPE_CHECKING:
    from threading import Event

    from soundlake.warehouse import TransformReport, Warehouse

_FIRST_PLAYS_SECONDS = 60.0
_SECOND_BUILD_SECONDS = 1.0
_POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


def run_transform(
    *,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Build everything again from all of bronze.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Also run the models' tests; if one fails, nothing is published.")] = False,
    every: Annotated[str | None, typer.Option("--every", metavar="TIME", help="Run until stopped: build this often (60s, 5m).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Build silver and gold from the new rows of bronze, and publish a snapshot. Exit code 3 if a test of the models fails."""
    from soundlake import wiring
    from soundlake.cli.durations import parse_duration
    from soundlake.errors import Retryable
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    seconds = None if every is None else parse_duration(every)
    settings = load_settings()
    with ExitStack() as stack:
        stop = stack.enter_context(set_event_on_signal()) if seconds else None
        telemetry = stack.enter_context(open_telemetry(settings, "transform"))
        warehouse = stack.enter_context(wiring.open_warehouse(settings, wiring.open_lake(settings), telemetry))
        pauses = list_pauses(seconds or 0.0, was_empty=stop is not None and _wait_for_plays(warehouse, stop))
        _transform_once(warehouse, full_refresh=full_refresh, test=test, as_json=as_json)
        while stop is not None and not stop.wait(next(pauses)):
            try:
                _transform_once(warehouse, full_refresh=False, test=test, as_json=as_json)
            except Retryable as error:
                log.warning("%s; the next round tries again", error.message)
                if telemetry is not None:
                    telemetry.process.record_error(error)


def list_pauses(every: float, *, was_empty: bool) -> Iterator[float]:
    """The seconds between one build and the next, without an end.

    Where bronze `was_empty` the first build has the plays of the first seconds only: the second follows it at once, with what other
    sources brought during it.
    """
    return chain([_SECOND_BUILD_SECONDS] if was_empty else [], repeat(every))


def _wait_for_plays(warehouse: Warehouse, stop: Event) -> bool:
    """Wait up to a minute for the first plays; whether there were none at first.

    Building nothing takes as long as building a first day, and readers would wait for both.
    """
    if warehouse.has_plays:
        return False
    deadline = time.monotonic() + _FIRST_PLAYS_SECONDS
    while not warehouse.has_plays and time.monotonic() < deadline and not stop.wait(_POLL_SECONDS):
        pass
    return True


def _transform_once(warehouse: Warehouse, *, full_refresh: bool, test: bool, as_json: bool) -> None:
    with show_progress() as reporter:
        reporter.begin("bronze → silver → gold")
        finished: list[str] = []

        def show(node: str, event: str) -> None:
            finished.extend([node] if event == "finished" else [])
            reporter.advance(len(finished), node)

        report = warehouse.transform(full_refresh=full_refresh, test=test, on_progress=show)
        reporter.end(f"snapshot {report.snapshot}" if report.built else f"nothing new, snapshot {report.snapshot}")
    if as_json:
        print_json(_describe(report))
    else:
        print_table("Rows", report.rows)
        typer.echo(f"snapshot {report.snapshot}, {report.seconds:.1f} s{_explain(report)}")


def run_dbt(context: typer.Context) -> None:
    """Run dbt on this deployment: `soundlake dbt test`, `soundlake dbt docs generate`, `soundlake dbt debug`."""
    from soundlake import wiring
    from soundlake.settings import extend_environment, load_settings

    settings = load_settings()
    environment = wiring.open_warehouse(settings, wiring.open_lake(settings)).environment()
    command = [sys.executable, "-m", "dbt.cli.main", *context.args]
    raise typer.Exit(subprocess.run(command, env=extend_environment(environment), check=False).returncode)


def _describe(report: TransformReport) -> dict[str, Any]:
    return {
        "snapshot": report.snapshot,
        "built": report.built,
        "full_refresh": report.is_full_refresh,
        "full_refresh_reasons": list(report.full_refresh_reasons),
        "new_batches": report.new_batches,
        "rows": report.rows,
        "seconds_by_model": report.seconds_by_model,
        "seconds": report.seconds,
    }


def _explain(report: TransformReport) -> str:
    if not report.built:
        return " (nothing new)"
    return f" (full refresh: {', '.join(report.full_refresh_reasons)})" if report.is_full_refresh else ""
