"""The time from `soundlake up` to the first event on the dashboard: a new home, local servers, everything installed.

first_event.py [SERVICE…] leaves services out: `first_event.py stream` runs without Spark. Two data flows are timed: by Spark and Redis to
the Real-time page, and by bronze and a build to the pages of the snapshot.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from soundlake.dashboard.live_source import open_live_source
from soundlake.errors import Unavailable
from soundlake.operations.servers import find_free_block
from soundlake.operations.servers.jars import KAFKA_JARS, SPARK_JARS, install_jars
from soundlake.settings import load_settings

GOAL_SECONDS = 180.0
LONGEST_SECONDS = 400.0
PROGRAM = [sys.executable, "-m", "soundlake.cli.app"]


def count_plays(stack: Path) -> int:
    """The number of plays in the current snapshot."""
    snapshot = stack / "warehouse" / "snapshots" / "current.duckdb"
    if not snapshot.exists():
        return 0
    with duckdb.connect(str(snapshot), read_only=True) as db:
        return int(db.execute("select count(*) from silver.silver_plays").fetchone()[0])


def count_live(stack: Path) -> int:
    """The number of plays on the Real-time page."""
    try:
        return sum(minute.started for minute in open_live_source(load_settings(home=stack)).read(datetime.now(UTC)).minutes)
    except Unavailable:
        return 0


def measure(home: Path, left_out: list[str]) -> dict[str, float]:
    """Start a stack in that home, wait for its first plays, stop it."""
    downloads = load_settings().servers.downloads.expanduser().absolute()
    for listing in (KAFKA_JARS, SPARK_JARS):
        install_jars(listing, downloads / listing.parent.name)
    ports = {f"SOUNDLAKE_{name}_PORT": str(find_free_block()) for name in ("KAFKA", "OBJECT_STORE", "REDIS", "DASHBOARD")}
    environment = {**os.environ, **ports, "SOUNDLAKE_HOME": str(home)}
    options = [word for name in left_out for word in ("--without", name)]
    start = time.monotonic()
    try:
        subprocess.run([*PROGRAM, "up", *options], env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = {"seconds_until_up": round(time.monotonic() - start, 1)}
        counts = {"seconds_until_snapshot": count_plays, **({} if "stream" in left_out else {"seconds_until_real_time": count_live})}
        return found | wait_for_each(counts, home / "stack", start)
    finally:
        subprocess.run([*PROGRAM, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


def wait_for_each(counts: dict[str, Callable[[Path], int]], stack: Path, start: float) -> dict[str, float]:
    """By name: the time of the first count above zero, in seconds after `start`."""
    found: dict[str, float] = {}
    while missing := counts.keys() - found.keys():
        if time.monotonic() - start > LONGEST_SECONDS:
            raise TimeoutError(f"{', '.join(missing)}: nothing after {LONGEST_SECONDS:.0f} s; so far {found}")
        found |= {name: round(time.monotonic() - start, 1) for name in missing if counts[name](stack)}
        time.sleep(0.5)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), sys.argv[1:])
    first = min(seconds for name, seconds in found.items() if name != "seconds_until_up")
    ratio = round(first / GOAL_SECONDS, 3)
    print(json.dumps({"bench": "first event on the dashboard", **found, "goal_seconds": GOAL_SECONDS, "ratio": ratio}))
