"""The query `processed`: all topics → processed/<type> and processed/quarantine; and the compaction of these tables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame, SparkSession

from soundlake.contract.topics import TOPICS
from soundlake.lake import Forgotten
from soundlake.settings import SchemaRegistryAccess
from soundlake.streaming.decoding import decode, stream_records
from soundlake.streaming.deployment import StreamLimits, StreamLocations
from soundlake.streaming.enrichment import TrackDimension, enrich
from soundlake.streaming.processed_tables import QUARANTINE, TABLES, Batch, append_batch, assign_table, holds_batch, shape_quarantine
from soundlake.streaming.transforms import apply_rules, drop_repeats, leave_out_forgotten, normalize

NAME = "processed"
_TABLES_AT_ONCE = 2


def stream_processed(session: SparkSession, locations: StreamLocations, limits: StreamLimits) -> DataFrame:
    """One row a record: checked, normalized, without repeats, with its table."""
    records = stream_records(session, locations.kafka, [topic.name for topic in TOPICS], max_records=limits.max_records, tasks=limits.tasks)
    return process(records, limits.repeat_minutes, locations.registry)


def process(records: DataFrame, repeat_minutes: int, registry: SchemaRegistryAccess | None = None) -> DataFrame:
    """From records to rows with `_table`, `reason` and `processed_at`."""
    return assign_table(drop_repeats(normalize(apply_rules(decode(records, registry))), repeat_minutes))


BeginWrite = Callable[[], AbstractContextManager[Forgotten]]
"""As `BronzeTables.begin_write`."""


def write_all() -> AbstractContextManager[Forgotten]:
    """Nobody was forgotten, and nothing else writes."""
    return nullcontext(Forgotten())


class ProcessedWriter:
    """Writes batches into the processed tables, each table in a commit of its own that names the checkpoint and the batch.

    Two tables are written at once: each is one task that writes one file, and Delta's work around it is no task. A stop in mid-batch leaves
    one table ahead of another until the batch is repeated; a table that already holds it is then skipped. Only the first batch after a
    start can be a repeat: a failed batch ends the query, and no other process writes these tables. `begin_write` holds the writers' lock,
    which an erasure holds alone, and yields who was forgotten.
    """

    def __init__(
        self,
        locations: StreamLocations,
        tracks: TrackDimension,
        read_checkpoint_id: Callable[[], str],
        maintenance: TableMaintenance,
        begin_write: BeginWrite = write_all,
    ) -> None:
        self._begin_write = begin_write
        self._locations, self._tracks, self._read_checkpoint_id, self._maintenance = locations, tracks, read_checkpoint_id, maintenance
        self._is_first = True
        self._writers = ThreadPoolExecutor(_TABLES_AT_ONCE, "table")

    def write(self, rows: DataFrame, number: int) -> None:
        """Write one batch."""
        batch = Batch(self._read_checkpoint_id(), number)
        with self._begin_write() as forgotten:
            self._write(leave_out_forgotten(rows, forgotten), batch)

    def _write(self, rows: DataFrame, batch: Batch) -> None:
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
        self._maintenance.run()

    def _append(self, rows: DataFrame, name: str, tracks: DataFrame, batch: Batch) -> None:
        if self._is_first and holds_batch(self._locations, name, batch):
            return
        shaped = shape_quarantine(rows) if name == QUARANTINE else enrich(rows, tracks)
        append_batch(shaped, TABLES[name], self._locations.table(name), batch)
        self._maintenance.note_commit(name)


COMMITS_PER_COMPACTION = 60
"""A table is compacted after this many commits: every five minutes at one commit in five seconds, so no batch waits long for it."""
VACUUM_SECONDS = 6 * 3_600.0
"""How often unused files are deleted; also once after each start, since a job may not run that long."""


class TableMaintenance:
    """Counts the commits of each table and compacts the one that is due, between two batches: Spark is the only writer of these tables."""

    def __init__(self, session: SparkSession, locations: StreamLocations) -> None:
        self._session, self._locations = session, locations
        self._commits: dict[str, int] = {}
        self._vacuumed: dict[str, float] = {}

    def note_commit(self, name: str) -> None:
        """Count a commit of this table."""
        self._commits[name] = self._commits.get(name, 0) + 1

    def run(self) -> None:
        """Compact one table that is due, and vacuum it if that was not done in the last hours."""
        due = next((name for name, commits in self._commits.items() if commits >= COMMITS_PER_COMPACTION), None)
        if due is None:
            return
        self._commits[due] = 0
        table = f"delta.`{self._locations.table(due)}`"
        self._session.sql(f"optimize {table}")
        if time.monotonic() - self._vacuumed.get(due, -math.inf) > VACUUM_SECONDS:
            self._vacuumed[due] = time.monotonic()
            self._session.sql(f"vacuum {table}")
