"""One sink process for the campaigns: runs on the log and the lake of a folder, and kills itself or waits at a given checkpoint.

sink_driver.py FOLDER [--kill-at POINT N] [--wait-at POINT] [--endless | --rounds]
Prints `ready` when it starts, `waiting` when it first reaches the checkpoint it waits at (a line of input continues it), and at its end
`done EVENTS REJECTED` or `stopped ERROR`. With `--rounds` each line of input runs another sink, which needs no new interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from soundlake.broker import EmbeddedBroker
from soundlake.errors import SoundlakeError
from soundlake.lake import Lake
from soundlake.settings import Address
from soundlake.sink import Sink, SinkLimits

LIMITS = SinkLimits(max_events=400, max_bytes=1024 * 1024, max_seconds=0.1)


def open_lake(folder: Path) -> Lake:
    """The lake of a campaign: in its folder, or in the bucket that its file `bucket.json` names."""
    bucket = folder / "bucket.json"
    if bucket.exists():
        found = json.loads(bucket.read_text())
        return Lake(Address(found["uri"], "s3"), found["storage_options"])
    return Lake(Address(f"file://{folder}/lake", "file", path=folder / "lake"))


def open_broker(folder: Path) -> EmbeddedBroker:
    """The log of a campaign."""
    return EmbeddedBroker(folder / "broker.db")


class Checkpoints:
    """Counts the checkpoints passed; kills the process or waits at the one named."""

    def __init__(self, kill_at: list[str] | None, wait_at: str | None) -> None:
        self._kill_at = (kill_at[0], int(kill_at[1])) if kill_at else None
        self._wait_at = wait_at
        self._passed: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self._passed[point] += 1
        if self._kill_at == (point, self._passed[point]):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._wait_at == point and self._passed[point] == 1:
            print("waiting", flush=True)
            sys.stdin.readline()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at", nargs=2)
    parser.add_argument("--wait-at")
    parser.add_argument("--endless", action="store_true")
    parser.add_argument("--rounds", action="store_true")
    options = parser.parse_args()
    print("ready", flush=True)
    if not options.rounds:
        return run_sink(options)
    for _ in sys.stdin:
        run_sink(options)
    return 0


def run_sink(options: argparse.Namespace) -> int:
    """Run one sink, from opening the log to its end; returns its exit code."""
    checkpoint = Checkpoints(options.kill_at, options.wait_at)
    with closing(open_broker(options.folder)) as broker:
        sink = Sink(broker, open_lake(options.folder), LIMITS, checkpoint=checkpoint)
        try:
            report = sink.run(until_drained=not options.endless)
        except SoundlakeError as error:
            print("stopped", type(error).__name__, error.message, flush=True)
            return error.exit_code
    print("done", report.events, report.rejected, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
