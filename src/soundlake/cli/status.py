"""`soundlake status`: how each service is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.stack.status import ServiceStatus, Status

_WIDTH_OF_FILES = 120


def run_status(*, as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False) -> None:
    """Each service with its state, uptime, memory, lag and freshness; exit code 1 if something that should run does not."""
    from soundlake import wiring
    from soundlake.cli.terminal import print_json
    from soundlake.operations.stack import place_stack
    from soundlake.settings import load_settings
    from soundlake.supervisor.run_file import read_run

    settings = load_settings()
    stack = place_stack(settings).home
    status = wiring.read_status(load_settings(home=stack) if read_run(stack) is not None else settings)
    if as_json:
        print_json(status.as_json())
    else:
        _print_status(status)
    if not status.is_well:
        raise typer.Exit(1)


def _print_status(status: Status) -> None:
    from rich.console import Console
    from rich.table import Table

    from soundlake.supervisor.run_file import State

    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_FILES)
    if not status.services:
        console.print(f"nothing runs in {status.home}: `soundlake up` starts the full stack there, SOUNDLAKE_HOME names another home")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("service", "state", "up for", "memory", "restarts", "lag", "newest", "address"):
        is_number = title in ("up for", "memory", "restarts", "lag", "newest")
        table.add_column(title, justify="right" if is_number else "left", no_wrap=title != "address", overflow="fold")
    for service in status.services:
        table.add_row(*_write_row(service))
    console.print(table)
    console.print(f"lag in records; snapshot {status.snapshot or 'none yet'}; {status.home}", style="dim")
    if not status.is_up:
        console.print("their supervisor does not run: `soundlake up` starts it, `soundlake down` ends what is left")
    for service in status.services:
        if service.last_error is not None and service.state is not State.RUNNING:
            console.print(f"{service.name} {service.last_error}; see {service.log}", style="yellow", markup=False)
    for note in status.notes:
        console.print(note, style="yellow", markup=False)


def _write_row(service: ServiceStatus) -> tuple[str, ...]:
    memory = "" if service.memory_bytes is None else f"{service.memory_bytes / 2**20:,.0f} MiB"
    lag = "" if service.lag_records is None else f"{service.lag_records:,}"
    newest = "" if service.fresh_seconds is None else f"{_write_time(service.fresh_seconds)} ago"
    up_for = "" if service.uptime_seconds is None else _write_time(service.uptime_seconds)
    return (service.name, service.state.value, up_for, memory, str(service.restarts), lag, newest, service.address or "")


def _write_time(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
