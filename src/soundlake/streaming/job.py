"""The streaming job: starts its queries, watches them and stops them in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from soundlake.contract.topics import NOW_PLAYING, TOPICS
from soundlake.streaming import live, now_playing, processed
from soundlake.streaming.decoding import stream_records
from soundlake.streaming.deployment import StreamLimits, StreamLocations
from soundlake.streaming.enrichment import TrackDimension
from soundlake.streaming.processed import TableMaintenance
from soundlake.streaming.processed_tables import ensure_tables
from soundlake.streaming.progress import ObserveProgress, ProgressReporter, QueryProgress, discard_progress
from soundlake.streaming.query_errors import raise_on_dropped_rows, raise_query_error, translate_start_errors
from soundlake.streaming.startup_checks import check_log_ids, check_table_owner, read_checkpoint_id

READS = {processed.NAME: tuple(topic.name for topic in TOPICS), live.NAME: live.TOPICS, now_playing.NAME: (NOW_PLAYING.name,)}
"""The topics that each query reads. The queries of a session share its task slots; one in real-time mode takes one for each partition."""

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class StreamReport:
    """How many records each query read while it ran."""

    records: Mapping[str, int]


def watch_queries(
    queries: Mapping[str, StreamingQuery],
    progress: ProgressReporter,
    stop: threading.Event,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Return when `stop` is set or every query has ended, with the number of records that each has read; raises what ended a query."""
    counts = dict.fromkeys(queries, 0)
    while True:
        # Asked before the errors: one that fails between the two questions would otherwise end as a success.
        is_over = stop.wait(_WATCH_SECONDS) or not any(query.isActive for query in queries.values())
        for name, query in queries.items():
            counts[name] += progress.report_new(name, query)
            raise_query_error(name, query)
        if on_progress is not None:
            on_progress(sum(counts.values()))
        if is_over:
            return counts


class StreamJob:
    """The queries of one Spark session; only `live` needs `open_live_store`."""

    def __init__(
        self,
        session: SparkSession,
        locations: StreamLocations,
        limits: StreamLimits,
        open_live_store: live.OpenLiveStore | None = None,
        observe: ObserveProgress = discard_progress,
        *,
        begin_write: processed.BeginWrite = processed.write_all,
    ) -> None:
        self._begin_write = begin_write
        self._session, self._locations, self._limits, self._open_live_store = session, locations, limits, open_live_store
        self._observe, self._progress = observe, ProgressReporter(self._handle_progress)
        self._starts: dict[str, Callable[..., StreamingQuery]] = {
            processed.NAME: self._start_processed,
            live.NAME: self._start_live,
            now_playing.NAME: self._start_now_playing,
        }

    def run(
        self,
        names: Sequence[str],
        *,
        stop: threading.Event,
        until_drained: bool = False,
        for_seconds: float | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> StreamReport:
        """Run these queries until `stop` is set, until the time is over, or until all is processed that the log held at the start.

        `on_progress` gets the number of records read so far. Raises DataError if a topic was recreated or no longer holds the next offset,
        or if another checkpoint wrote the processed tables; Unavailable if a server does not answer, SettingsError if one rejects keys or
        a password. A new run resumes at the checkpoints.
        """
        for name in names:
            with translate_start_errors(name):
                self._check(name)
        queries = {name: self._begin(name, until_drained=until_drained) for name in names}
        clocks = [threading.Timer(for_seconds, stop.set)] if for_seconds is not None else []
        for clock in clocks:
            clock.start()
        try:
            counts = watch_queries(queries, self._progress, stop, on_progress)
        finally:
            for clock in clocks:
                clock.cancel()
            for query in queries.values():
                query.stop()
        return StreamReport({name: counts[name] + self._progress.report_new(name, query) for name, query in queries.items()})

    def _handle_progress(self, progress: QueryProgress) -> None:
        self._observe(progress)
        raise_on_dropped_rows(progress)

    def _check(self, name: str) -> None:
        """Check that the query's checkpoint, its logs and its tables belong together."""
        checkpoint = self._locations.checkpoint(name)
        checkpoint_id = read_checkpoint_id(self._session, checkpoint)
        if name == processed.NAME:
            ensure_tables(self._locations)
            check_table_owner(self._locations, checkpoint_id)
        log_ids = {topic: self._locations.log_ids[topic] for topic in READS[name] if topic in self._locations.log_ids}
        check_log_ids(self._session, name, f"{checkpoint}-logs", log_ids, is_new=checkpoint_id is None)

    def _begin(self, name: str, *, until_drained: bool) -> StreamingQuery:
        with translate_start_errors(name):
            return self._starts[name](until_drained=until_drained)

    def _start_processed(self, *, until_drained: bool) -> StreamingQuery:
        named, ids = threading.Event(), list[str]()

        def read_checkpoint_id() -> str:
            named.wait()
            return ids[0]

        tracks = TrackDimension(self._session, f"{self._locations.silver}/silver_tracks")
        maintenance = TableMaintenance(self._session, self._locations)
        writer = processed.ProcessedWriter(self._locations, tracks, read_checkpoint_id, maintenance, self._begin_write)
        rows = processed.stream_processed(self._session, self._locations, self._limits)
        query = self._start(
            rows.writeStream.foreachBatch(writer.write).outputMode("append"), processed.NAME, self._limits.trigger_seconds, until_drained
        )  # fmt: skip
        ids.append(str(query.id))
        named.set()
        return query

    def _start_live(self, *, until_drained: bool) -> StreamingQuery:
        assert self._open_live_store is not None
        rows = live.record_live(live.stream_live(self._session, self._locations, self._limits), self._open_live_store)
        stream = rows.writeStream.format("noop").outputMode("append")  # the workers have written the events; only counts are left
        return self._start(stream, live.NAME, self._limits.live_trigger_seconds, until_drained)

    def _start_now_playing(self, *, until_drained: bool) -> StreamingQuery:
        """Runs in real-time mode, which has no end to wait for; with a schema registry in micro-batches."""
        registry, limits = self._locations.registry, self._limits
        records = stream_records(self._session, self._locations.kafka, READS[now_playing.NAME], tasks=limits.tasks if registry else 0)
        if registry is not None:
            enriched = now_playing.enrich_now_playing(records, registry)
            stream = now_playing.write_batches(enriched, self._locations.kafka)
            return self._start(stream, now_playing.NAME, limits.live_trigger_seconds, until_drained)
        stream = now_playing.write_records(now_playing.enrich_now_playing(records), self._locations.kafka)
        return stream.queryName(now_playing.NAME).option("checkpointLocation", self._locations.checkpoint(now_playing.NAME)).start()

    def _start(self, stream: DataStreamWriter, name: str, seconds: float, until_drained: bool) -> StreamingQuery:  # noqa: FBT001  # private
        timed = stream.trigger(availableNow=True) if until_drained else stream.trigger(processingTime=f"{seconds} seconds")
        return timed.queryName(name).option("checkpointLocation", self._locations.checkpoint(name)).start()
