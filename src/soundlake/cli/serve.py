"""`soundlake serve …`: the programs that people open in a browser."""

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
