"""Repeats of an event in later micro-batches, and after a restart from the checkpoint."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path

from pyspark.sql import SparkSession
from tests.integration.streaming_frames import make_records, make_value

from soundlake.streaming.decoding import RECORD_DDL
from soundlake.streaming.processed import process


class Folders:
    """A query from a folder of records to a folder of rows, a file a micro-batch, each run from the checkpoint on."""

    def __init__(self, spark: SparkSession, place: Path) -> None:
        self._spark, self._place = spark, f"file://{place}"

    def add(self, values: list[bytes]) -> None:
        """One more file of records."""
        make_records(self._spark, values).write.mode("append").parquet(f"{self._place}/records")

    def run(self) -> int:
        """Process what is new; in how many micro-batches."""
        records = self._spark.readStream.schema(RECORD_DDL).option("maxFilesPerTrigger", 1).parquet(f"{self._place}/records")
        stream = process(records, repeat_minutes=10).writeStream.format("parquet").option("checkpointLocation", f"{self._place}/checkpoint")
        query = stream.option("path", f"{self._place}/rows").trigger(availableNow=True).start()
        query.awaitTermination()
        return sum(progress["numInputRows"] > 0 for progress in query.recentProgress)

    def count(self) -> Counter[str]:
        """How often each event is in the rows."""
        return Counter(row["event_id"] for row in self._spark.read.parquet(f"{self._place}/rows").collect())


def test_an_event_is_stored_once_over_micro_batches_and_over_a_restart(spark, tmp_path):
    ids = [str(uuid.uuid4()) for _ in range(30)]
    folders = Folders(spark, tmp_path)
    folders.add([make_value(event_id=event_id) for event_id in ids[:10]])
    folders.add([make_value(event_id=event_id) for event_id in ids[:20]])
    assert folders.run() == 2
    assert folders.count() == Counter(ids[:20])
    folders.add([make_value(event_id=event_id) for event_id in ids])
    assert folders.run() == 1
    assert folders.count() == Counter(ids)
