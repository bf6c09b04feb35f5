"""The query `processed`: all topics → processed/<type> and processed/quarantine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame, SparkSession

from soundlake.contract.topics import TOPICS
from soundlake.streaming.decoding import decode
from soundlake.streaming.enriching import enrich
from soundlake.streaming.models import Road, StreamLimits
from soundlake.streaming.records import stream_records
from soundlake.streaming.tables import QUARANTINE, TABLES, Batch, append_batch, choose_table, holds_batch, shape_quarantine
from soundlake.streaming.tracks import TrackDimension
from soundlake.streaming.transforms import drop_repeats, judge, normalize
from soundlake.streaming.upkeep import Upkeep

NAME = "processed"
_TABLES_AT_ONCE = 2


def stream_processed(session: SparkSession, road: Road, limits: StreamLimits) -> DataFrame:
    """Every record once: judged, normalized, without repeats, and where it belongs."""
    records = stream_records(session, road.kafka, [topic.name for topic in TOPICS], max_records=limits.max_records, tasks=limits.tasks)
    return process(records, limits.repeat_minutes)


def process(records: DataFrame, repeat_minutes: int) -> DataFrame:
    """From records to rows with `_table`, `reason` and `processed_at`."""
    return choose_table(drop_repeats(normalize(judge(decode(records))), repeat_minutes))


class ProcessedWriter:
    """Writes batches into the processed tables, each table in a commit of its own that names the checkpoint and the batch.

    Two tables at once: each is written by one task into one file, and what Delta does around it is no task at all. A stop in mid-batch
    leaves one table ahead of another until the batch is done again; what a table holds already is then left out. Only the first batch after
    a start can be one that is done again: a batch that fails ends the query, and nobody else writes these tables.
    """

    def __init__(self, road: Road, tracks: TrackDimension, read_checkpoint_id: Callable[[], str], upkeep: Upkeep) -> None:
        self._road, self._tracks, self._read_checkpoint_id, self._upkeep = road, tracks, read_checkpoint_id, upkeep
        self._is_first = True
        self._writers = ThreadPoolExecutor(_TABLES_AT_ONCE, "table")

    def write(self, rows: DataFrame, number: int) -> None:
        """Write one batch."""
        batch = Batch(self._read_checkpoint_id(), number)
        rows.persist()
        try:
            largest_first = sorted(rows.groupBy("_table").count().collect(), key=lambda row: -row["count"])
            tracks, append = self._tracks.read(), inheritable_thread_target(rows.sparkSession)(self._append)
            writes = [
                self._writers.submit(append, rows.where(rows["_table"] == name), name, tracks, batch)
                for name in (row["_table"] for row in largest_first)
            ]
            wait(writes)
            for write in writes:
                write.result()
        finally:
            rows.unpersist()
        self._is_first = False
        self._upkeep.run()

    def _append(self, rows: DataFrame, name: str, tracks: DataFrame, batch: Batch) -> None:
        uri = self._road.table(name)
        if self._is_first and holds_batch(rows.sparkSession, uri, batch):
            return
        shaped = shape_quarantine(rows) if name == QUARANTINE else enrich(rows, tracks)
        append_batch(shaped, TABLES[name], uri, batch)
        self._upkeep.note_commit(name)
