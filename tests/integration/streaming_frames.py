"""Records for the transforms of the streaming job, as frames."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession

from soundlake.contract.topics import PLAYS
from soundlake.streaming.decoding import RECORD_DDL

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)


def make_value(**fields: object) -> bytes:
    """A good play, with these fields; one that is None is left out."""
    event = {"event_id": str(uuid.uuid4()), "event_type": "play", "user_id": "ana", "played_at": "2026-11-22T15:30:00Z", "track_id": "t1",
             "track_name": "Song", "artist_name": "Band", "duration_ms": 200_000, "ms_played": 100_000, "content_type": "track",
             "source": "generator"}  # fmt: skip
    return json.dumps({name: value for name, value in (event | fields).items() if value is not None}).encode()


def make_records(spark: SparkSession, values: Iterable[bytes | None], topic: str = PLAYS.name) -> DataFrame:
    """The values as records of one partition, logged at NOW."""
    rows = [(topic, 0, offset, NOW.replace(tzinfo=None), None, value) for offset, value in enumerate(values)]
    return spark.createDataFrame(rows, RECORD_DDL).coalesce(1)
