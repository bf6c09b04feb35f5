"""The streaming job: starts its queries, watches them, and ends them in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from soundlake.contract.topics import NOW_PLAYING, TOPICS
from soundlake.streaming import live, now_playing, processed
from soundlake.streaming.checkpoints import check_owner, read_checkpoint_id
from soundlake.streaming.faults import explain_query, explain_start, refuse_dropped
from soundlake.streaming.log_identity import check_logs
from soundlake.streaming.models import Road, StreamLimits
from soundlake.streaming.progress import ObserveProgress, ProgressWatch, QueryProgress, ignore_progress
from soundlake.streaming.records import stream_records
from soundlake.streaming.tables import ensure_tables
from soundlake.streaming.tracks import TrackDimension
from soundlake.streaming.upkeep import Upkeep

READS = {processed.NAME: tuple(topic.name for topic in TOPICS), live.NAME: live.TOPICS, now_playing.NAME: (NOW_PLAYING.name,)}
"""The topics that each query reads."""
QUERIES = tuple(READS)
"""Every query by name. In one session they share its task slots: a query in real-time mode holds one for each partition it reads."""

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class StreamReport:
    """What the queries read while they ran: records, by query."""

    records: Mapping[str, int]


class StreamJob:
    """The queries of one Spark session over one road; `open_live_store` is needed by `live` alone."""

    def __init__(
        self,
        session: SparkSession,
        road: Road,
        limits: StreamLimits,
        open_live_store: live.OpenLiveStore | None = None,
        observe: ObserveProgress = ignore_progress,
    ) -> None:
        self._session, self._road, self._limits, self._open_live_store = session, road, limits, open_live_store
        self._observe, self._watch = observe, ProgressWatch(self._hear)
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
        """Run these queries until told to stop, until the time is over, or until all is done that the log held at the beginning.

        `on_progress` hears how many records were read so far. Raises DataError if a log was made anew or no longer holds what comes next,
        or if another checkpoint wrote the processed tables; Unavailable if a server does not answer, SettingsError if one refuses keys or
        a password. A new run goes on where the checkpoints end.
        """
        for name in names:
            with explain_start(name):
                self._check(name)
        counts = dict.fromkeys(names, 0)
        queries = [self._begin(name, until_drained=until_drained) for name in names]
        clocks = [threading.Timer(for_seconds, stop.set)] if for_seconds is not None else []
        for clock in clocks:
            clock.start()
        try:
            while not stop.is_set() and any(query.isActive for query in queries):
                stop.wait(_WATCH_SECONDS)
                for name, query in zip(names, queries, strict=True):
                    counts[name] += self._watch.look(name, query)
                    explain_query(name, query)
                if on_progress is not None:
                    on_progress(sum(counts.values()))
        finally:
            for clock in clocks:
                clock.cancel()
            for query in queries:
                query.stop()
        for name, query in zip(names, queries, strict=True):
            counts[name] += self._watch.look(name, query)
        return StreamReport(counts)

    def _hear(self, progress: QueryProgress) -> None:
        self._observe(progress)
        refuse_dropped(progress)

    def _check(self, name: str) -> None:
        """Whether the query's checkpoint, its logs and its tables belong together."""
        checkpoint = self._road.checkpoint(name)
        checkpoint_id = read_checkpoint_id(self._session, checkpoint)
        if name == processed.NAME:
            ensure_tables(self._session, self._road.processed)
            check_owner(self._session, self._road.processed, checkpoint_id)
        log_ids = {topic: self._road.log_ids[topic] for topic in READS[name] if topic in self._road.log_ids}
        check_logs(self._session, name, f"{checkpoint}-logs", log_ids, is_new=checkpoint_id is None)

    def _begin(self, name: str, *, until_drained: bool) -> StreamingQuery:
        with explain_start(name):
            return self._starts[name](until_drained=until_drained)

    def _start_processed(self, *, until_drained: bool) -> StreamingQuery:
        named, ids = threading.Event(), list[str]()

        def read_checkpoint_id() -> str:
            named.wait()
            return ids[0]

        tracks = TrackDimension(self._session, f"{self._road.silver}/silver_tracks")
        writer = processed.ProcessedWriter(self._road, tracks, read_checkpoint_id, Upkeep(self._session, self._road))
        rows = processed.stream_processed(self._session, self._road, self._limits)
        query = self._start(
            rows.writeStream.foreachBatch(writer.write).outputMode("append"), processed.NAME, self._limits.trigger_seconds, until_drained
        )  # fmt: skip
        ids.append(str(query.id))
        named.set()
        return query

    def _start_live(self, *, until_drained: bool) -> StreamingQuery:
        assert self._open_live_store is not None
        rows = live.record_live(live.stream_live(self._session, self._road, self._limits), self._open_live_store)
        stream = rows.writeStream.format("noop").outputMode("append")  # the workers have written; what is left are their numbers
        return self._start(stream, live.NAME, self._limits.live_trigger_seconds, until_drained)

    def _start_now_playing(self, **_: object) -> StreamingQuery:
        """In real-time mode there is no end to wait for."""
        records = stream_records(self._session, self._road.kafka, READS[now_playing.NAME])
        stream = now_playing.write_records(now_playing.enrich_now_playing(records), self._road.kafka)
        return stream.queryName(now_playing.NAME).option("checkpointLocation", self._road.checkpoint(now_playing.NAME)).start()

    def _start(self, stream: DataStreamWriter, name: str, seconds: float, until_drained: bool) -> StreamingQuery:  # noqa: FBT001  # ours alone
        timed = stream.trigger(availableNow=True) if until_drained else stream.trigger(processingTime=f"{seconds} seconds")
        return timed.queryName(name).option("checkpointLocation", self._road.checkpoint(name)).start()
