"""Small files of the processed tables become large ones: by the job itself, since Spark is the one writer of these tables."""

from __future__ import annotations

import math
import time

from pyspark.sql import SparkSession

from soundlake.streaming.models import Road

FILES_AT_ONCE = 60
"""A table is compacted after so many commits: at one every five seconds each five minutes, so that no batch waits long for it."""
VACUUM_SECONDS = 6 * 3_600.0
"""Old files go that often; and once after each start, since a job may never run that long."""


class Upkeep:
    """Counts the commits of each table and compacts the one that is due, between two batches."""

    def __init__(self, session: SparkSession, road: Road) -> None:
        self._session, self._road = session, road
        self._commits: dict[str, int] = {}
        self._vacuumed: dict[str, float] = {}

    def note_commit(self, name: str) -> None:
        """A table got one more file or a few."""
        self._commits[name] = self._commits.get(name, 0) + 1

    def run(self) -> None:
        """Compact one table that is due, and let go of its old files, unless that was a few hours ago."""
        due = next((name for name, commits in self._commits.items() if commits >= FILES_AT_ONCE), None)
        if due is None:
            return
        self._commits[due] = 0
        table = f"delta.`{self._road.table(due)}`"
        self._session.sql(f"optimize {table}")
        if time.monotonic() - self._vacuumed.get(due, -math.inf) > VACUUM_SECONDS:
            self._vacuumed[due] = time.monotonic()
            self._session.sql(f"vacuum {table}")
