"""The processed tables: each batch of a checkpoint once."""

from __future__ import annotations

import uuid

from pyspark.sql.functions import current_timestamp
from tests.integration.streaming_frames import make_records, make_value

from soundlake.streaming.decoding import decode
from soundlake.streaming.models import Road
from soundlake.streaming.processed import ProcessedWriter
from soundlake.streaming.tables import choose_table, ensure_tables
from soundlake.streaming.tracks import TrackDimension
from soundlake.streaming.transforms import judge, normalize
from soundlake.streaming.upkeep import Upkeep


def test_a_batch_that_is_done_again_is_left_out_where_it_stands_whatever_was_compacted_since(spark, tmp_path):
    road = Road({}, f"file://{tmp_path}/processed", f"file://{tmp_path}/silver", f"file://{tmp_path}/checkpoints")
    ensure_tables(spark, road.processed)
    first = [make_value(event_id=str(uuid.uuid4())) for _ in range(3)]
    second = [make_value(event_id=str(uuid.uuid4())), b"{"]

    def write(checkpoint: str, *batches: tuple[int, list[bytes]]) -> tuple[int, int]:
        tracks = TrackDimension(spark, f"{road.silver}/silver_tracks")
        writer = ProcessedWriter(road, tracks, lambda: checkpoint, Upkeep(spark, road))
        for number, values in batches:
            judged = normalize(judge(decode(make_records(spark, values)))).withColumn("processed_at", current_timestamp())
            writer.write(choose_table(judged), number)
        return tuple(spark.read.format("delta").load(road.table(name)).count() for name in ("plays", "quarantine"))

    assert write("a", (0, first)) == (3, 0)
    assert write("a", (0, first), (1, second)) == (4, 1)  # killed after the table and before the checkpoint knew
    spark.sql(f"optimize delta.`{road.table('plays')}`")
    assert write("a", (1, second)) == (4, 1)
    assert write("b", (0, first)) == (7, 1)  # another checkpoint counts anew
