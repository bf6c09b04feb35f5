"""Start the dashboard's server in this process, independent of files in the current folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from soundlake.dashboard.theme import list_theme_options
from soundlake.settings import Settings

_SCRIPT = Path(__file__).parent / "entry" / "app.py"
_PRELOADED = ("pandas", "pyarrow", "soundlake.dashboard.entry.app")  # 3 s of CPU that the first visitor would wait for
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the dashboard on an address until SIGINT or SIGTERM; it answers once the default views are computed."""
    for module in _PRELOADED:
        import_module(module)
    from soundlake.dashboard.process_state import prepare_process  # noqa: PLC0415  # imports Streamlit, which not every program has

    prepare_process(settings)
    # pages were rendered before the flags below are read: Streamlit would log advice to restart it
    logging.getLogger("streamlit.config").addFilter(lambda record: "restart streamlit" not in record.getMessage())
    cli: Callable[..., None] = import_module("streamlit.web.cli").main
    cli(["run", str(_SCRIPT), *list_flags(host, port)], standalone_mode=False)


def list_flags(host: str, port: int) -> list[str]:
    """Streamlit's flags. On a loopback address the server accepts only its own host names, which stops DNS rebinding by a web page."""
    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": host,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        "global.developmentMode": "false",
        "runner.magicEnabled": "false",
    } | list_theme_options()
    names = [f"--server.allowedHosts={name}" for name in _LOOPBACK] if host in _LOOPBACK else []
    return [*(f"--{name}={value}" for name, value in options.items()), *names]
