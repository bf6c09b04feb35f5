"""Framed records in Spark: the frames of the three queries hold what they hold of the same events as plain JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from tests.integration.streaming_frames import make_records, make_value
from tests.schema_registry import serve_registry

from soundlake.broker.kafka.event_framer import AvroFramer, JsonFramer
from soundlake.broker.kafka.registry_connection import RegistryConnection
from soundlake.contract import EVENT_SCHEMA
from soundlake.contract.framed_records import frame
from soundlake.contract.topics import NOW_PLAYING, PLAYS
from soundlake.settings import SchemaRegistryAccess
from soundlake.streaming.decoding import decode
from soundlake.streaming.live import select_countable
from soundlake.streaming.now_playing import enrich_now_playing


@pytest.fixture
def registry():
    with serve_registry() as served:
        yield served


def frame_all(registry, topic, value: bytes) -> list[bytes]:
    """The event as framed JSON and as framed Avro."""
    event = json.loads(value)
    event["played_at"] = datetime.fromisoformat(event["played_at"]).astimezone(UTC)
    events, connection = pa.Table.from_pylist([event], EVENT_SCHEMA), RegistryConnection(SchemaRegistryAccess(registry.url))
    return [framer(connection).encode(topic, events)[0] for framer in (JsonFramer, AvroFramer)]


def test_workers_decode_framed_records_and_keep_the_bytes_of_rejected_ones(spark, registry):
    plain = make_value()
    values = [plain, *frame_all(registry, PLAYS, plain), frame(9, plain)]
    *good, unknown = decode(make_records(spark, values), SchemaRegistryAccess(registry.url)).orderBy("_offset").collect()
    fields = [{name: row[name] for name in EVENT_SCHEMA.names} for row in good]
    assert fields[0] == fields[1] == fields[2]
    assert (unknown["reason"], bytes(unknown["_value"])) == ("unknown_schema_id", values[3])


def test_live_metrics_and_now_playing_see_framed_events_like_plain_ones(spark, registry):
    access, play = SchemaRegistryAccess(registry.url), make_value()
    countable = select_countable(make_records(spark, [play, *frame_all(registry, PLAYS, play)]), access).collect()
    assert countable[0] == countable[1] == countable[2]
    event = make_value(event_type="now_playing", position_ms=50_000, device_type="Computer", track_name=" Ääni ", country="DE")
    records = make_records(spark, [event, *frame_all(registry, NOW_PLAYING, event), b"{"], NOW_PLAYING.name)
    found = [(row["key"], json.loads(row["value"])) for row in enrich_now_playing(records, access).collect()]
    (plain,) = enrich_now_playing(make_records(spark, [event], NOW_PLAYING.name)).collect()
    assert found == [(plain["key"], json.loads(plain["value"]))] * 3
