"""`soundlake spotify poll`: follow what the connected accounts play."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundlake.settings import Settings
    from soundlake.spotify.plays.songs import Song
    from soundlake.spotify.poller import PollReport
    from soundlake.telemetry import Telemetry

_EXIT_NOTHING_COLLECTED = 1


def run_spotify_poll(
    *,
    limit: Annotated[str | None, typer.Option("--for", metavar="TIME", help="End after this time, such as 10m; without it, never.")] = None,
) -> None:
    """Follow the player of every connected account, and publish plays, skips and changes of the song to the event log.

    It stays inside the request budget, and survives failures, which it names when they begin and end. An account that another process
    follows is taken over when that process ends. With --for, exit code 1 if no account gave an answer.
    """
    from soundlake.cli.durations import parse_duration
    from soundlake.settings import load_settings
    from soundlake.wiring import open_spotify_telemetry

    settings = load_settings()
    lines = _Lines()
    with open_spotify_telemetry(settings, "spotify-poll") as telemetry:
        logging.getLogger("soundlake.spotify.poller").setLevel(logging.INFO)  # the legs of each song
        asyncio.run(_poll(settings, telemetry, lines, None if limit is None else parse_duration(limit)))
    if limit is not None and not lines.answered:
        raise typer.Exit(_EXIT_NOTHING_COLLECTED)


async def _poll(settings: Settings, telemetry: Telemetry | None, lines: _Lines, seconds: float | None) -> None:
    from soundlake import wiring

    async with wiring.open_poller(settings, telemetry) as poller:
        task = asyncio.ensure_future(poller.run(lines.write))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(task, seconds)


@dataclass
class _Lines:
    """Writes a line where something changes: another song, the first failure, the first answer after failures."""

    answered: set[str] = field(default_factory=set)
    shown: dict[str, str | None] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)

    def write(self, poll: PollReport) -> None:
        from soundlake.logs import report

        if poll.failure is not None:
            if poll.account not in self.failing:
                report(f"{poll.account}: {poll.failure.message}", error=poll.failure)
            self.failing.add(poll.account)
            return
        self.answered.add(poll.account)
        if poll.account in self.failing:
            report(f"{poll.account}: answers again")
        self.failing.discard(poll.account)
        play_id = poll.current.play_id if poll.current else None
        if self.shown.get(poll.account, "") != play_id:
            line = _describe(poll.current.song) if poll.current else "nothing plays"
            report(f"{poll.account}: {line}")
        self.shown[poll.account] = play_id


def _describe(song: Song) -> str:
    return f"{song.artist_name or 'unknown artist'} – {song.name or 'unknown title'}"
