"""`soundlake up`, `down` and `restart`: the full stack on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.cli.terminal import ProgressReporter
    from soundlake.operations.stack import Stack
    from soundlake.supervisor import RunRecord


def run_up(
    *,
    foreground: Annotated[bool, typer.Option("--foreground", help="Run the supervisor in this process; Ctrl-C ends everything.")] = False,
    without: Annotated[list[str] | None, typer.Option("--without", metavar="NAME", help="Leave a service out; may be repeated.")] = None,
    spotify: Annotated[
        bool,
        typer.Option("--spotify", help="Collect from Spotify too; from a fake one where SPOTIFY_CLIENT_ID is not set."),
    ] = False,
    listeners: Annotated[int | None, typer.Option("--listeners", help="Synthetic listeners; fixed by the first start.")] = None,
    days: Annotated[int | None, typer.Option("--days", help="Days of their history, ending yesterday.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the synthetic listeners; fixed by the first start.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the services as one JSON object.")] = False,
) -> None:
    """Start the full stack (Kafka, object store, Redis, sink, Spark, generator, transform, dashboard) and keep it up; `down` ends it."""
    from soundlake.cli.stop_signals import leave_on_signal
    from soundlake.cli.terminal import show_progress
    from soundlake.operations.spotify_services import LIVE
    from soundlake.operations.stack import SUPERVISOR, install_programs, is_up, join, keep_up, launch, plan_stack, sample_services
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    feed = _write_options({"--listeners": listeners, "--days": days, "--seed": seed})
    stack = plan_stack(load_settings(with_home=False), feed, without or (), has_spotify=spotify)
    if foreground:
        with leave_on_signal(), open_telemetry(stack.settings, SUPERVISOR) as telemetry:
            if telemetry is not None:
                telemetry.watch_services(lambda: sample_services(stack.home))
            keep_up(stack, partial(_prepare, stack), _log_with_time)
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
            arguments = [*feed, *left_out, *(["--spotify"] if spotify else [])]
            record = await_stack(progress, partial(launch, stack.home, arguments, stack.settings.child_environment))
    _print_record(record, as_json=as_json)
    if spotify and LIVE not in {service.name for service in record.services}:
        typer.echo("it was up already, without Spotify: `soundlake down`, then `soundlake up --spotify`", err=True)


def run_down(*, as_json: Annotated[bool, typer.Option("--json", help="Print the ended services as one JSON object.")] = False) -> None:
    """End everything that `up` started; the data stays, and the next `up` resumes."""
    from soundlake.cli.terminal import print_json
    from soundlake.operations.stack import bring_down, place_stack
    from soundlake.settings import load_settings

    home = place_stack(load_settings()).home
    ended = bring_down(home)
    if as_json:
        print_json({"home": str(home), "ended": ended})
    else:
        typer.echo(f"ended {', '.join(ended)}; the data stays in {home}" if ended else f"nothing runs in {home}")


def run_restart(name: Annotated[str, typer.Argument(metavar="SERVICE", help="Its name in `soundlake status`.")]) -> None:
    """Restart one service of a running stack: SIGTERM, then SIGKILL after 40 s; its supervisor starts it again."""
    from soundlake.operations.stack import place_stack, restart_service
    from soundlake.settings import load_settings

    restart_service(place_stack(load_settings()).home, name)
    typer.echo(f"{name} is running again")


def _prepare(stack: Stack) -> tuple[str, ...]:
    """Create topics and tables; existing topics with other settings do not prevent a start, they become notes."""
    from soundlake.cli.topics import compare_with_plan
    from soundlake.errors import SoundlakeError
    from soundlake.operations.stack import name_repair
    from soundlake.wiring import prepare_stack

    prepare_stack(stack.settings)
    notes = tuple(_note_accounts(stack))
    try:
        found = compare_with_plan(stack.settings)
    except SoundlakeError as error:
        return (*notes, f"the settings of the topics could not be checked: {error.message}")
    return (*notes, *found, f"topics have other settings than expected: `{name_repair(stack)}` corrects them") if found else notes


def _note_accounts(stack: Stack) -> Iterator[str]:
    """How to connect the first account, where Spotify itself is collected from."""
    from soundlake.operations.spotify_services import FAKE, LIVE
    from soundlake.wiring import open_token_store

    if stack.has(LIVE) and not stack.has(FAKE) and not open_token_store(stack.settings).list_accounts():
        yield f"no Spotify account is connected: `SOUNDLAKE_HOME={stack.home} soundlake spotify login` connects one"


def await_stack(progress: ProgressReporter, bring_up: Callable[[Callable[[str], None]], RunRecord]) -> RunRecord:
    """Wait until the stack is up; on Ctrl-C report that its start continues, and how to end it."""
    from soundlake.logs import report

    progress.begin("starting")
    try:
        record = bring_up(lambda waiting: progress.advance(0, waiting))
    except KeyboardInterrupt:
        report("the start of the stack continues: `soundlake status` shows its progress, `soundlake down` (make down) ends it")
        raise
    progress.end("all services are up")
    return record


def _log_with_time(line: str) -> None:
    """Write a line of the supervisor's log, with the time."""
    from soundlake.logs import is_json, report

    report(line if is_json() else f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}")


def _print_record(record: RunRecord, *, as_json: bool) -> None:
    from soundlake.cli.terminal import print_json, print_table
    from soundlake.supervisor import State

    if as_json:
        print_json(record.model_dump(mode="json"))
        return
    not_running = {service.name: service.state for service in record.services if service.state is not State.RUNNING}
    title = "Soundlake is up, but not all services are running" if not_running else "Soundlake is up"
    print_table(title, {service.name: not_running.get(service.name, service.address or "") for service in record.services})
    for note in record.notes:
        typer.echo(note, err=True)
    typer.echo("`soundlake status` shows its state, `soundlake down` ends it", err=True)


def _write_options(options: dict[str, int | None]) -> tuple[str, ...]:
    return tuple(word for name, value in options.items() if value is not None for word in (name, str(value)))
