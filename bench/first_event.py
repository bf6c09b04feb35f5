"""How long after `soundlake up` the first event stands on the dashboard: a new home, local servers, everything installed.

first_event.py [NAME-LEFT-OUT…]: for example `first_event.py stream` leaves Spark out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from soundlake.operations.servers import find_free_block
from soundlake.operations.servers.jars import KAFKA_JARS, SPARK_JARS, install_jars
from soundlake.settings import load_settings

GOAL_SECONDS = 180.0
PROGRAM = [sys.executable, "-m", "soundlake.cli.app"]


def count_plays(snapshot: Path) -> int:
    """Plays that a reader of the dashboard could see now."""
    if not snapshot.exists():
        return 0
    with duckdb.connect(str(snapshot), read_only=True) as db:
        return int(db.execute("select count(*) from silver.silver_plays").fetchone()[0])


def measure(home: Path, left_out: list[str]) -> dict[str, float]:
    """Bring a stack up in that home, wait for its first play, bring it down."""
    downloads = load_settings().downloads.expanduser().absolute()
    for listing in (KAFKA_JARS, SPARK_JARS):
        install_jars(listing, downloads / listing.parent.name)
    ports = {f"SOUNDLAKE_{name}_PORT": str(find_free_block()) for name in ("KAFKA", "OBJECT_STORE", "REDIS", "DASHBOARD")}
    environment = {**os.environ, **ports, "SOUNDLAKE_HOME": str(home)}
    options = [word for name in left_out for word in ("--without", name)]
    begun = time.monotonic()
    try:
        subprocess.run([*PROGRAM, "up", *options], env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        up = time.monotonic() - begun
        while not count_plays(home / "stack" / "warehouse" / "snapshots" / "current.duckdb"):
            time.sleep(0.2)
        return {"seconds_until_up": round(up, 1), "seconds_until_first_event": round(time.monotonic() - begun, 1)}
    finally:
        subprocess.run([*PROGRAM, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), sys.argv[1:])
    ratio = round(found["seconds_until_first_event"] / GOAL_SECONDS, 3)
    print(json.dumps({"bench": "first event on the dashboard", **found, "goal_seconds": GOAL_SECONDS, "ratio": ratio}))
