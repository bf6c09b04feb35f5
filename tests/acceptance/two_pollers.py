"""Two pollers on one account: the second one waits and names the owner; if both wrote all the same, silver has one play."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.acceptance.courses import Course
from tests.acceptance.pipeline import Observed, Pipeline, observe
from tests.acceptance.player_answers import find_start

from soundlake.spotify.fake import AdjustableClock, run_in_virtual_time

Case = Mapping[str, Any]
_TAKES_OVER_S = 60


def observe_both(case: Case, folder: Path) -> Observed:
    """What both pollers saw, each in a home of its own, as one account's."""
    seen: list[Observed] = []
    for number, poller in enumerate(case["given"]["pollers"]):
        given = {**case["given"], "first_poll_at": poller.get("phase_s", 0)}
        place = folder / str(number)
        place.mkdir(parents=True)
        expect = {"plays": case["expect"]["plays"], "now_playing": len(case["given"]["pollers"]) * len(case["expect"]["plays"])}
        seen.append(observe(Course({**case, "given": given, "expect": expect}, "both pollers write", 99), place))
    first, *others = seen
    for one in others:
        first.events = {table: pa.concat_tables([events, one.events[table]]) for table, events in first.events.items()}
    return first


def find_two_poller_differences(case: Case, folder: Path) -> list[str]:
    """What is not right of two processes that share a home."""
    folder.mkdir(parents=True)
    start = find_start(case)
    return run_in_virtual_time(lambda clock: _run_two(case, folder, clock), start)


async def _run_two(case: Case, folder: Path, clock: AdjustableClock) -> list[str]:
    pipeline = Pipeline(Course(case), folder, clock(), clock)
    lines, seconds = _Lines(), []
    logging.getLogger("soundlake.spotify.poller").addHandler(lines)
    first = asyncio.ensure_future(pipeline.make_poller().run(lambda _: None))
    await clock.sleep(case["given"]["pollers"][-1].get("phase_s", 1))
    second = asyncio.ensure_future(pipeline.make_poller().run(lambda _: seconds.append(pipeline.find_second())))
    await clock.sleep(70)
    polls_before = len(seconds)
    first.cancel()
    ended = pipeline.find_second()
    await clock.sleep(_TAKES_OVER_S + 1)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    logging.getLogger("soundlake.spotify.poller").removeHandler(lines)
    found = [f"a second poller polled {polls_before} times beside the first"] if polls_before else []
    found += [] if any(f"process {os.getpid()}" in text for text in lines.texts) else ["a second poller does not name the owner"]
    taken_over = bool(seconds) and seconds[0] - ended <= _TAKES_OVER_S
    return found + ([] if taken_over else [f"the second poller polled at {seconds[:1]}, {ended} was the end of the first"])


class _Lines(logging.Handler):
    """Keeps the texts of log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
