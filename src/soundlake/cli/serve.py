"""`soundlake serve …`: the programs that people open in a browser, and the fake Spotify."""

from __future__ import annotations

from typing import Annotated

import typer


def serve_dashboard(
    host: Annotated[str | None, typer.Option(help="Address to bind to; default: SOUNDLAKE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to bind to; default: SOUNDLAKE_DASHBOARD_PORT.")] = None,
) -> None:
    """Serve the dashboard until it is stopped (Ctrl-C)."""
    from soundlake.dashboard import record_pages_in, serve
    from soundlake.dashboard.pages import discover_pages
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    settings = load_settings()
    with open_telemetry(settings, "dashboard") as telemetry:
        if telemetry is not None:
            record_pages_in(telemetry.watch_pages(page.path for page in discover_pages()))
        serve(settings, host or settings.servers.host, port or settings.servers.dashboard_port)


def serve_fake_spotify(
    *,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port on 127.0.0.1, 0: any; default: SOUNDLAKE_FAKE_SPOTIFY_PORT.")
    ] = None,
    listeners: Annotated[int, typer.Option(min=1, max=50, help="Accounts; the first one listens round the clock.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other listeners.")] = 42,
    speed: Annotated[float, typer.Option(min=0.001, max=100_000, help="How fast its time runs.")] = 1.0,
    connect: Annotated[
        str | None, typer.Option("--connect", metavar="ACCOUNT", help="Connect this account to this home, without a browser.")
    ] = None,
    has_limits: Annotated[bool, typer.Option("--limits/--no-limits", help="Limit calls as Spotify's development mode does.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print where it listens and its app as one JSON object.")] = False,
) -> None:
    """Serve a fake Spotify until it is stopped (Ctrl-C): sign-in, the Web API, and listeners who play music."""
    from soundlake.cli.stop_signals import leave_on_signal
    from soundlake.cli.terminal import print_json
    from soundlake.settings import load_settings
    from soundlake.spotify.fake.server import bind, serve
    from soundlake.wiring.fake_spotify import FakeOptions, build_fake_spotify, connect_fake_account

    settings = load_settings()
    with leave_on_signal():
        listening = bind("127.0.0.1", settings.servers.fake_spotify_port if port is None else port)
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        fake = build_fake_spotify(FakeOptions(listeners, seed, speed, has_limits, base_url))
        if connect is not None:
            connect_fake_account(settings, fake, base_url, connect)
        (app,) = fake.apps.values()
        variables = {"SPOTIFY_CLIENT_ID": app.client_id, "SPOTIFY_ACCOUNTS_URL": base_url, "SPOTIFY_API_URL": base_url}
        if as_json:
            print_json({"url": base_url, "accounts": list(fake.accounts), "client_secret": app.client_secret, "environment": variables})
        else:
            typer.echo(f"A fake Spotify with {', '.join(fake.accounts)} listens on {base_url}. To use it:")
            typer.echo("\n".join(f"export {name}={value}" for name, value in variables.items()))
        serve(fake, listening)
