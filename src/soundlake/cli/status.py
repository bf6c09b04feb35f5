"""`soundlake status`: the state of each service, and how clients connect."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.operations.stack.status import ServiceStatus, Status
    from soundlake.settings import Settings


def run_status(
    *,
    env: Annotated[bool, typer.Option("--env", help="Print `export NAME=value` lines for a shell or another tool to connect.")] = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="With --env: print secrets although the output is no terminal.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Print each service's state, uptime, memory, lag and freshness, and the addresses to connect to; exit code 1 if a service is down."""
    from soundlake import wiring
    from soundlake.cli.terminal import print_json
    from soundlake.errors import UsageError
    from soundlake.operations.stack import place_stack
    from soundlake.settings import load_settings
    from soundlake.supervisor import read_run

    if show_secrets and not env:
        raise UsageError("--show-secrets goes with --env", next_step="soundlake status --env --show-secrets")
    settings = load_settings()
    stack = place_stack(settings).home
    settings = load_settings(home=stack) if read_run(stack) is not None else settings
    if env:
        _print_exports(settings, show_secrets=show_secrets or sys.stdout.isatty())
        return
    status = wiring.read_status(settings)
    if as_json:
        print_json(status.as_json())
    else:
        _print_status(status)
    if not status.is_well:
        raise typer.Exit(1)


def _print_exports(settings: Settings, *, show_secrets: bool) -> None:
    from soundlake.errors import UsageError
    from soundlake.operations.stack.connections import has_secrets, list_connection_variables, write_exports

    variables = list_connection_variables(settings)
    if has_secrets(variables) and not show_secrets:
        raise UsageError(
            "--env prints secrets, and standard output is not a terminal",
            next_step='add --show-secrets where nobody else reads it: eval "$(soundlake status --env --show-secrets)"',
        )
    sys.stdout.write(write_exports(variables))


def _print_status(status: Status) -> None:
    from soundlake.cli.terminal import print_fields, print_heading, print_rows
    from soundlake.supervisor import State

    if not status.services:
        typer.echo(f"nothing runs in {status.home}: `soundlake up` starts the full stack there, SOUNDLAKE_HOME names another home")
    else:
        print_rows("Services", [_write_row(service) for service in status.services], optional=("restarts", "memory", "up for"))
    print_heading("Connect to")
    fields: dict[str, str] = {}
    for connection in status.connections:
        fields[connection.name] = connection.address
        if connection.keys:
            fields[f"keys of the {connection.name}"] = connection.keys
    print_fields(fields)
    typer.echo(f"\nlag in records; snapshot {status.snapshot or 'none yet'}; {status.home}")
    if status.services and not status.is_up:
        typer.echo("their supervisor does not run: `soundlake up` starts it, `soundlake down` ends what is left")
    for service in status.services:
        if service.last_error is not None and service.state is not State.RUNNING:
            typer.echo(f"{service.name} {service.last_error}; see {service.log}")
    for note in status.notes:
        typer.echo(note)


def _write_row(service: ServiceStatus) -> dict[str, str]:
    return {
        "service": service.name,
        "state": service.state.value,
        "up for": "" if service.uptime_seconds is None else _write_time(service.uptime_seconds),
        "memory": "" if service.memory_bytes is None else f"{service.memory_bytes / 2**20:,.0f} MiB",
        "restarts": str(service.restarts),
        "lag": "" if service.lag_records is None else f"{service.lag_records:,}",
        "newest": "" if service.fresh_seconds is None else f"{_write_time(service.fresh_seconds)} ago",
    }


def _write_time(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
