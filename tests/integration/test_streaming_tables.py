"""The processed tables: each batch of a checkpoint once, and no batch of another checkpoint."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql.functions import current_timestamp
from tests.integration.streaming_frames import make_records, make_value
from tests.java_start import find_archive

from soundlake.errors import DataError
from soundlake.streaming.decoding import decode
from soundlake.streaming.deployment import StreamLimits, StreamLocations
from soundlake.streaming.enrichment import TrackDimension
from soundlake.streaming.job import StreamJob
from soundlake.streaming.processed import COMMITS_PER_COMPACTION, ProcessedWriter, TableMaintenance
from soundlake.streaming.processed_tables import TABLES, assign_table, ensure_tables
from soundlake.streaming.startup_checks import check_log_ids, check_table_owner, read_checkpoint_id
from soundlake.streaming.transforms import apply_rules, normalize

BY_SPARK = {
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
    "delta.enableDeletionVectors": "false",
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}


@pytest.fixture
def locations(tmp_path) -> StreamLocations:
    """Folders of this test, and nowhere to read from."""
    return StreamLocations({}, f"file://{tmp_path}/processed", f"file://{tmp_path}/silver", f"file://{tmp_path}/checkpoints")


def write_batch(spark, locations: StreamLocations, checkpoint: str, number: int, values: list[bytes]) -> None:
    """One batch, as the first after a start."""
    writer = ProcessedWriter(
        locations, TrackDimension(spark, f"{locations.silver}/silver_tracks"), lambda: checkpoint, TableMaintenance(spark, locations)
    )
    checked = normalize(apply_rules(decode(make_records(spark, values)))).withColumn("processed_at", current_timestamp())
    writer.write(assign_table(checked), number)


def test_a_repeated_batch_is_skipped_in_tables_that_hold_it_after_compaction_too(spark, locations):
    ensure_tables(locations)
    first = [make_value(event_id=str(uuid.uuid4())) for _ in range(3)]
    second = [make_value(event_id=str(uuid.uuid4())), b"{"]

    def write(checkpoint: str, *batches: tuple[int, list[bytes]]) -> tuple[int, ...]:
        for number, values in batches:
            write_batch(spark, locations, checkpoint, number, values)
        return tuple(spark.read.format("delta").load(locations.table(name)).count() for name in ("plays", "quarantine"))

    assert write("a", (0, first)) == (3, 0)
    assert write("a", (0, first), (1, second)) == (4, 1)  # killed after the table and before the checkpoint knew
    spark.sql(f"optimize delta.`{locations.table('plays')}`")
    assert write("a", (1, second)) == (4, 1)
    assert write("b", (0, first)) == (7, 1)  # another checkpoint counts from 0


def test_a_new_checkpoint_over_tables_of_another_is_refused_until_they_are_moved_away(spark, locations, tmp_path):
    ensure_tables(locations)
    check_table_owner(locations, None)  # nobody wrote anything yet
    write_batch(spark, locations, "a", 0, [make_value(), b"{"])
    spark.sql(f"optimize delta.`{locations.table('plays')}`")
    check_table_owner(locations, "a")
    with pytest.raises(DataError, match="wrote plays, quarantine; the events") as caught:
        StreamJob(spark, locations, StreamLimits()).run(["processed"], stop=threading.Event())
    assert "or move these tables away too" in str(caught.value)
    with pytest.raises(DataError):
        check_table_owner(locations, "b")
    assert read_checkpoint_id(spark, locations.checkpoint("processed")) is None, "a refused start leaves no checkpoint"
    Path(tmp_path / "processed").rename(tmp_path / "away")
    ensure_tables(locations)
    check_table_owner(locations, "b")


def read_actions(folder: Path) -> dict[str, dict]:
    """What the first commit of a table says of it, without what each table has of its own."""
    commit = (folder / "_delta_log" / f"{0:020}.json").read_text().splitlines()
    found = {name: action for line in commit for name, action in json.loads(line).items() if name != "commitInfo"}
    return found | {"metaData": {name: value for name, value in found["metaData"].items() if name not in ("id", "createdTime") and value}}


def create_with_spark(spark, locations: StreamLocations) -> None:
    """The tables as the job created them in Spark's SQL before it used delta-rs."""
    for table in TABLES.values():
        properties = BY_SPARK | {"delta.dataSkippingStatsColumns": ",".join(table.stats_columns)}
        text = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        spark.sql(
            f"create table if not exists delta.`{locations.table(table.name)}` ({table.ddl}) using delta "
            f"partitioned by (year, month) tblproperties ({text})"
        )


def test_the_tables_are_those_that_spark_would_create(spark, locations, tmp_path):
    ensure_tables(locations)
    create_with_spark(spark, replace(locations, processed=f"file://{tmp_path}/by-spark"))
    for name in TABLES:
        created = read_actions(tmp_path / "processed" / name)
        assert created == read_actions(tmp_path / "by-spark" / name)
        assert created["protocol"] == {"minReaderVersion": 1, "minWriterVersion": 2}


def test_tables_that_spark_created_are_used_as_they_are(spark, locations):
    create_with_spark(spark, locations)
    ensure_tables(locations)
    check_table_owner(locations, None)
    write_batch(spark, locations, "a", 0, [make_value()])
    write_batch(spark, locations, "a", 0, [make_value()])  # a repeat
    check_table_owner(locations, "a")
    assert spark.read.format("delta").load(locations.table("plays")).count() == 1


def test_a_checkpoint_is_known_by_the_id_that_spark_gave_it(spark, tmp_path):
    uri = f"file://{tmp_path}/checkpoint"
    assert read_checkpoint_id(spark, uri) is None
    stream = spark.readStream.format("rate").load().writeStream.format("noop").option("checkpointLocation", uri)
    query = stream.trigger(availableNow=True).start()
    query.awaitTermination()
    assert read_checkpoint_id(spark, uri) == str(query.id)


def test_old_files_go_once_after_each_start_and_not_with_every_compaction(spark, locations, tmp_path):
    ensure_tables(locations)
    old = tmp_path / "processed" / "plays" / "of-a-batch-that-was-killed.parquet"

    def compact(maintenance: TableMaintenance) -> bool:
        """As many commits as make a table due; whether a file of the day before yesterday is gone."""
        old.write_bytes(b"PAR1")
        os.utime(old, (time.time() - 2 * 86_400,) * 2)
        for _ in range(COMMITS_PER_COMPACTION):
            maintenance.note_commit("plays")
        begun = time.monotonic()
        maintenance.run()
        assert time.monotonic() - begun < 45, "a batch waits meanwhile"  # 2 s alone; a minute with the default number of tasks
        return not old.exists()

    write_batch(spark, locations, "a", 0, [make_value()])
    started = TableMaintenance(spark, locations)
    assert [compact(started), compact(started), compact(TableMaintenance(spark, locations))] == [True, False, True]
    assert spark.read.format("delta").load(locations.table("plays")).count() == 1


def test_sparks_java_takes_its_classes_from_the_archive_of_the_tests(spark, spark_jars):
    archive = find_archive(spark_jars)
    if not archive.exists():
        pytest.skip("it could not be made on this machine: tests are only slower")
    java = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    assert archive.name in Path(f"/proc/{java}/maps").read_text()


def test_ids_of_logs_are_compared_with_those_stored_also_if_a_query_of_spark_stored_them(spark, tmp_path):
    uri = f"file://{tmp_path}/processed-logs"
    check = partial(check_log_ids, spark, "processed", uri)
    spark.createDataFrame([("plays", "a"), ("skips", "b")], "topic STRING, log_id STRING").write.json(uri)
    with pytest.raises(DataError, match="plays: the topic was deleted and recreated"):
        check({"plays": "recreated", "skips": "b"})
    check({"plays": "a", "skips": "b", "likes": "c"})
    with pytest.raises(DataError, match="likes, skips: the topic"):
        check({"plays": "a", "skips": "recreated", "likes": "recreated"})
    check({"plays": "recreated"}, is_new=True)
    with pytest.raises(DataError, match="plays: the topic"):
        check({"plays": "a"})
