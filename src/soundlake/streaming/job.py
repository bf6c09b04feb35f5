"""The streaming job: starts its queries, watches them, and ends them in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from soundlake.streaming import processed
from soundlake.streaming.faults import explain_query
from soundlake.streaming.models import Road, StreamLimits
from soundlake.streaming.tables import ensure_tables
from soundlake.streaming.tracks import TrackDimension

_WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class StreamReport:
    """What the queries did while they ran: records read, by query."""

    records: Mapping[str, int]


class StreamJob:
    """The queries of one Spark session over one road."""

    def __init__(self, session: SparkSession, road: Road, limits: StreamLimits) -> None:
        self._session, self._road, self._limits = session, road, limits
        self._starts: dict[str, Callable[[bool], StreamingQuery]] = {processed.NAME: self._start_processed}

    def run(
        self, names: list[str], *, stop: threading.Event, until_drained: bool = False, for_seconds: float | None = None
    ) -> StreamReport:
        """Run these queries until told to stop, until the time is over, or until all is done that the log held at the beginning.

        Raises DataError if the log no longer holds what comes next, Unavailable if a server does not answer; a new run goes on where
        the checkpoints end.
        """
        queries = {name: self._starts[name](until_drained) for name in names}
        timer = None if for_seconds is None else threading.Timer(for_seconds, stop.set)
        if timer is not None:
            timer.start()
        try:
            while not stop.is_set() and any(query.isActive for query in queries.values()):
                stop.wait(_WATCH_SECONDS)
                for name, query in queries.items():
                    explain_query(name, query)
        finally:
            if timer is not None:
                timer.cancel()
            for query in queries.values():
                query.stop()
        return StreamReport({name: _count_records(query) for name, query in queries.items()})

    def _start_processed(self, until_drained: bool) -> StreamingQuery:  # noqa: FBT001  # one signature for all starts
        ensure_tables(self._session, self._road.processed)
        named = threading.Event()
        ids: list[str] = []

        def read_app_id() -> str:
            named.wait()
            return f"stream/{ids[0]}"

        writer = processed.ProcessedWriter(self._road, TrackDimension(self._session, f"{self._road.silver}/silver_tracks"), read_app_id)
        rows = processed.stream_processed(self._session, self._road, self._limits)
        stream = rows.writeStream.foreachBatch(writer.write).outputMode("append")
        query = self._start(stream, processed.NAME, self._limits.trigger_seconds, until_drained=until_drained)
        ids.append(str(query.id))
        named.set()
        return query

    def _start(self, stream: DataStreamWriter, name: str, seconds: float, *, until_drained: bool) -> StreamingQuery:
        timed = stream.trigger(availableNow=True) if until_drained else stream.trigger(processingTime=f"{seconds} seconds")
        return timed.queryName(name).option("checkpointLocation", self._road.checkpoint(name)).start()


def _count_records(query: StreamingQuery) -> int:
    return sum(progress["numInputRows"] for progress in query.recentProgress)
