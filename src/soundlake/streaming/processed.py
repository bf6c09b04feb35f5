"""The query `processed`: all topics → processed/<type> and processed/quarantine."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession

from soundlake.contract.topics import TOPICS
from soundlake.streaming.decoding import decode
from soundlake.streaming.enriching import enrich
from soundlake.streaming.models import Road, StreamLimits
from soundlake.streaming.records import stream_records
from soundlake.streaming.tables import QUARANTINE, TABLES, append_batch, choose_table, shape_quarantine
from soundlake.streaming.tracks import TrackDimension
from soundlake.streaming.transforms import drop_repeats, judge, normalize
from soundlake.streaming.upkeep import Upkeep

NAME = "processed"


def stream_processed(session: SparkSession, road: Road, limits: StreamLimits) -> DataFrame:
    """Every record once: judged, normalized, without repeats, and where it belongs."""
    records = stream_records(session, road.kafka, [topic.name for topic in TOPICS], max_records=limits.max_records, tasks=limits.tasks)
    return process(records, limits.repeat_minutes)


def process(records: DataFrame, repeat_minutes: int) -> DataFrame:
    """From records to rows with `_table`, `reason` and `processed_at`."""
    return choose_table(drop_repeats(normalize(judge(decode(records))), repeat_minutes))


class ProcessedWriter:
    """Writes batches into the processed tables, each table in a commit of its own that names the checkpoint and the batch.

    A stop in mid-batch leaves one table ahead of another until the batch is done again; what a table holds already is then left out.
    `read_app_id` names the checkpoint: the txnVersion of a new one begins at 0, and under the old name would be taken for a repeat.
    """

    def __init__(self, road: Road, tracks: TrackDimension, read_app_id: Callable[[], str], upkeep: Upkeep) -> None:
        self._road, self._tracks, self._read_app_id, self._upkeep = road, tracks, read_app_id, upkeep

    def write(self, batch: DataFrame, batch_id: int) -> None:
        """Write one batch."""
        batch.persist()
        try:
            for row in batch.groupBy("_table").count().collect():
                self._append(batch.where(batch["_table"] == row["_table"]), row["_table"], batch_id)
        finally:
            batch.unpersist()
        self._upkeep.run()

    def _append(self, rows: DataFrame, name: str, batch_id: int) -> None:
        shaped = shape_quarantine(rows) if name == QUARANTINE else enrich(rows, self._tracks.read())
        append_batch(shaped, TABLES[name], self._road.table(name), app_id=self._read_app_id(), batch_id=batch_id)
        self._upkeep.note_commit(name)
