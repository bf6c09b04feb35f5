"""`soundlake up` and `soundlake down`: the full stack on this machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.cli.terminal import ProgressReporter
    from soundlake.operations.stack import Stack
    from soundlake.supervisor.run_file import RunRecord


def run_up(
    *,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and end everything with this process.")] = False,
    without: Annotated[list[str] | None, typer.Option("--without", metavar="NAME", help="Leave a service out; may be repeated.")] = None,
    listeners: Annotated[int | None, typer.Option("--listeners", help="Synthetic listeners; kept from the first start on.")] = None,
    days: Annotated[int | None, typer.Option("--days", help="Days of their history, ending yesterday.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed is another world.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what runs as one JSON object.")] = False,
) -> None:
    """Start the full stack (Kafka, object store, Redis, sink, generator, transform, dashboard) and keep it up; `down` ends it."""
    from soundlake.cli.terminal import show_progress
    from soundlake.operations.demo_live import stop_on_request
    from soundlake.operations.stack import SUPERVISOR, install_programs, is_up, join, keep_up, launch, plan_stack, sample_services
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    feed = _write_options({"--listeners": listeners, "--days": days, "--seed": seed})
    stack = plan_stack(load_settings(with_home=False), feed, without or ())
    if foreground:
        with stop_on_request(), open_telemetry(stack.settings, SUPERVISOR) as telemetry:
            if telemetry is not None:
                telemetry.watch_services(lambda: sample_services(stack.home))
            keep_up(stack, partial(_prepare, stack), _tell_when)
        return
    with show_progress() as progress:
        if is_up(stack.home):
            record = await_stack(progress, partial(join, stack.home))
        else:
            progress.begin("programs")
            install_programs(stack)
            progress.end("installed")
            stack.check_ports()
            left_out = [word for name in without or () for word in ("--without", name)]
            record = await_stack(progress, partial(launch, stack.home, [*feed, *left_out], stack.settings.child_environment))
    _print_record(record, as_json=as_json)


def run_down(*, as_json: Annotated[bool, typer.Option("--json", help="Print what was ended as one JSON object.")] = False) -> None:
    """End everything that `up` started; the data stays, and the next `up` goes on where it was."""
    from soundlake.cli.terminal import print_json
    from soundlake.operations.stack import bring_down, place_stack
    from soundlake.settings import load_settings

    home = place_stack(load_settings()).home
    ended = bring_down(home)
    if as_json:
        print_json({"home": str(home), "ended": ended})
    else:
        typer.echo(f"ended {', '.join(ended)}; the data stays in {home}" if ended else f"nothing runs in {home}")


def _prepare(stack: Stack) -> tuple[str, ...]:
    """Make topics and tables; what the topics that were there lack does not keep the stack from starting, and is told."""
    from soundlake.cli.topics import compare_with_plan
    from soundlake.errors import SoundlakeError
    from soundlake.operations.stack import name_repair
    from soundlake.wiring import prepare_stack

    prepare_stack(stack.settings)
    try:
        found = compare_with_plan(stack.settings)
    except SoundlakeError as error:
        return (f"the topics could not be compared with what they should be: {error.message}",)
    return (*found, f"topics differ: `{name_repair(stack)}` sets what they should be") if found else ()


def await_stack(progress: ProgressReporter, bring_up: Callable[[Callable[[str], None]], RunRecord]) -> RunRecord:
    """Wait until all is up, and say what goes on if somebody ends the waiting."""
    from soundlake.logs import report

    progress.begin("starting")
    try:
        record = bring_up(lambda waiting: progress.advance(0, waiting))
    except KeyboardInterrupt:
        report("the stack goes on starting by itself: `soundlake status` shows how far it is, `soundlake down` (make down) ends it")
        raise
    progress.end("all services are up")
    return record


def _tell_when(line: str) -> None:
    """A line of the supervisor's log, with the moment at which it was told."""
    from soundlake.logs import is_json, report

    report(line if is_json() else f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}")


def _print_record(record: RunRecord, *, as_json: bool) -> None:
    from soundlake.cli.terminal import print_json, print_table
    from soundlake.supervisor.run_file import State

    if as_json:
        print_json(record.model_dump(mode="json"))
        return
    unwell = {service.name: service.state for service in record.services if service.state is not State.RUNNING}
    title = "Soundlake is up, but not all of it is well" if unwell else "Soundlake is up"
    print_table(title, {service.name: unwell.get(service.name, service.address or "") for service in record.services})
    for note in record.notes:
        typer.echo(note, err=True)
    typer.echo("`soundlake status` shows how it is, `soundlake down` ends it", err=True)


def _write_options(options: dict[str, int | None]) -> tuple[str, ...]:
    return tuple(word for name, value in options.items() if value is not None for word in (name, str(value)))
