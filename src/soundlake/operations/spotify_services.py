"""The services that collect from Spotify: history and live listening, and the fake Spotify where no app is set."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec

from soundlake.operations.servers.ports import LOOPBACK, is_serving
from soundlake.progress import Reporter
from soundlake.settings import Settings
from soundlake.supervisor import NON_RETRYABLE_EXIT_CODES, Service

FAKE = "fake-spotify"
HISTORY = "spotify-backfill"
LIVE = "spotify-poll"
FAKE_ACCOUNT = "fake-01"
"""The account of the fake that plays round the clock; its listener has the same name."""

FIRST_HISTORY_SECONDS = 15.0
"""How long a build waits for the first history; what comes later is in the next one."""

_POLL_SECONDS = 0.2
_PROGRAM = (sys.executable, "-m", "soundlake.cli.app")
_STATE = "/admin/state"


def is_installed() -> bool:
    """Whether the packages of the extra `spotify` are installed."""
    return find_spec("httpx") is not None


def needs_fake(settings: Settings) -> bool:
    """Whether a fake replaces Spotify: where no app is set."""
    return not settings.spotify.client_id


def list_spotify_services(settings: Settings) -> tuple[Service, ...]:
    """The collectors of all connected accounts, after the fake with one connected account where it is needed."""
    commands = {HISTORY: ("spotify", "backfill", "--every", "10m"), LIVE: ("spotify", "poll")}
    collectors = (_make_service(name, words) for name, words in commands.items())
    return (*([_make_fake(settings.servers.fake_spotify_port)] if needs_fake(settings) else []), *collectors)


def wait_for_history(find_collected: Callable[[], datetime | None], since: datetime, reporter: Reporter) -> None:
    """Wait until history was collected after `since` (UTC), so that the build to come holds it, or until that takes too long."""
    reporter.begin("Spotify")
    deadline = time.monotonic() + FIRST_HISTORY_SECONDS
    while (found := find_collected()) is None or found < since:
        if time.monotonic() > deadline:
            reporter.end("its history comes with the next build")
            return
        time.sleep(_POLL_SECONDS)
    reporter.end("history collected")


def _make_fake(port: int) -> Service:
    words = ("serve", "fake-spotify", "--port", str(port), "--listeners", "1", "--connect", FAKE_ACCOUNT)
    return Service(
        FAKE, (*_PROGRAM, *words), f"http://{LOOPBACK}:{port}", is_ready=lambda: is_serving(port, _STATE),
        non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES,
    )  # fmt: skip


def _make_service(name: str, words: tuple[str, ...]) -> Service:
    return Service(name, (*_PROGRAM, *words), non_retryable_exit_codes=NON_RETRYABLE_EXIT_CODES)
