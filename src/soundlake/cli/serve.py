"""`soundlake serve …`: the programs that people look at."""

from __future__ import annotations

from typing import Annotated

import typer


def serve_dashboard(
    host: Annotated[str | None, typer.Option(help="Address to bind to; default: SOUNDLAKE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to bind to; default: SOUNDLAKE_DASHBOARD_PORT.")] = None,
) -> None:
    """Serve the dashboard until it is stopped."""
    from soundlake.dashboard import serve, watch
    from soundlake.dashboard.pages import discover_pages
    from soundlake.settings import load_settings
    from soundlake.telemetry import open_telemetry

    settings = load_settings()
    with open_telemetry(settings, "dashboard") as telemetry:
        if telemetry is not None:
            watch(telemetry.watch_pages(page.path for page in discover_pages()))
        serve(host or settings.host, port or settings.dashboard_port)
