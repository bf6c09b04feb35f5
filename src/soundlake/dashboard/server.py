"""How the dashboard's server is started: in this process, and dependent on no file in the current folder."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from soundlake.dashboard.theme import list_theme_options

_SCRIPT = Path(__file__).parent / "entry" / "app.py"
_LOADED_BEFORE_THE_FIRST_VISIT = ("pandas", "pyarrow", "soundlake.dashboard.entry.app")  # else a visitor waits seconds for these imports
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(host: str, port: int) -> None:
    """Serve the dashboard on an address until SIGINT or SIGTERM."""
    for module in _LOADED_BEFORE_THE_FIRST_VISIT:
        import_module(module)
    cli: Callable[..., None] = import_module("streamlit.web.cli").main
    cli(["run", str(_SCRIPT), *list_flags(host, port)], standalone_mode=False)


def list_flags(host: str, port: int) -> list[str]:
    """Streamlit's flags. On a loopback address it answers to that name alone, so that no web page reaches it under a name of its own."""
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
