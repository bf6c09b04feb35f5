"""The track dimension: silver_tracks as the warehouse last published it to the lake."""

from __future__ import annotations

import time

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from soundlake.streaming.enriching import TRACK_DDL

_COLUMNS = [column.strip().split(" ")[0] for column in TRACK_DDL.split(",")]


class TrackDimension:
    """Tracks by id, read anew every `refresh_seconds`; empty while there is no silver yet."""

    def __init__(self, session: SparkSession, uri: str, *, refresh_seconds: float = 300.0) -> None:
        self._session, self._uri, self._refresh_seconds = session, uri, refresh_seconds
        self._frame: DataFrame | None = None
        self._read_at = 0.0

    def read(self) -> DataFrame:
        """The dimension as of some minutes ago at most (TRACK_DDL)."""
        if self._frame is None or time.monotonic() - self._read_at > self._refresh_seconds:
            if self._frame is not None:
                self._frame.unpersist()
            self._frame, self._read_at = self._load(), time.monotonic()
        return self._frame

    def _load(self) -> DataFrame:
        try:
            return self._session.read.format("delta").load(self._uri).select(*_COLUMNS).persist()
        except AnalysisException:  # nothing stands there, or it is of a version that names no tracks like this
            nothing = ", ".join(f"cast(null as {column.split()[1]}) as {column.split()[0]}" for column in TRACK_DDL.split(","))
            return self._session.sql(f"select {nothing} where false")  # Spark leaves the join with it out
