"""Framed records from Kafka to bronze: values of confluent-kafka's own serializers, outages of the registry, replays, publishing."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.integration.kafka_cases import delete_topics, make_plays, read_ids, wait_until
from tests.schema_registry import serve_registry

from soundlake import wiring
from soundlake.contract import EVENT_SCHEMA, REJECTED_TABLE, TOPICS
from soundlake.contract.framed_records import frame
from soundlake.contract.schemas import build_avro_schema, build_json_schema
from soundlake.contract.topics import DLQ, PLAYS
from soundlake.errors import Unavailable
from soundlake.operations.dead_letters import DeadLetterFilter
from soundlake.progress import StepList
from soundlake.settings import KafkaAccess, PublishFormat, Settings

CONTEXT = SerializationContext(PLAYS.name, MessageField.VALUE)
BY_TOPIC = {"subject.name.strategy": topic_subject_name_strategy}


@pytest.fixture
def registry():
    with serve_registry() as served:
        yield served


@pytest.fixture
def settings(kafka_server, registry, tmp_path) -> Settings:
    """A deployment on this broker and registry, with its topics made."""
    delete_topics(KafkaAccess(kafka_server.server.address))
    found = Settings(_env_file=None, home=tmp_path, broker=f"kafka://{kafka_server.server.address}", registry={"url": registry.url})
    with closing(wiring.open_kafka(found)) as broker:
        broker.create_topics([*TOPICS, DLQ], partitions=2)
    return found


def produce(settings: Settings, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_access.servers})
    for value in values:
        producer.produce(PLAYS.name, value, b"ana")
    assert producer.flush(30) == 0


def drain(settings: Settings, retry_seconds: float = 20.0):
    lake = wiring.open_lake(settings)
    with closing(wiring.open_broker(settings)) as broker:
        report = wiring.build_sink(settings, broker, lake).run(until_drained=True, retry_seconds=retry_seconds)
    return report, lake


def serialize_plays(registry, count: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Plays as JSON, and the same by confluent-kafka's serializers: framed JSON and framed Avro, one half each."""
    client = SchemaRegistryClient({"url": registry.url})
    write_json = JSONSerializer(json.dumps(build_json_schema()), client, conf=BY_TOPIC)
    write_avro = AvroSerializer(client, json.dumps(build_avro_schema()), conf=BY_TOPIC)
    _, plain = make_plays(count)
    events = [json.loads(value) for value in plain]
    for event in events[count // 2 :]:
        event["played_at"] = datetime.fromisoformat(event["played_at"])
    half = count // 2
    return plain, [write_json(event, CONTEXT) for event in events[:half]], [write_avro(event, CONTEXT) for event in events[half:]]


def test_values_of_confluents_serializers_are_events_in_bronze(settings, registry):
    plain, framed_json, framed_avro = serialize_plays(registry, 200)
    _, others = make_plays(50)
    unknown = frame(99, plain[0])
    produce(settings, [*framed_json, *others, *framed_avro, unknown, b"\0\0\0\0\1{"])
    report, lake = drain(settings)
    assert (report.events, report.rejected) == (250, 2)
    assert sorted(lake.read(PLAYS.table, ["event_id"])["event_id"].to_pylist()) == sorted(read_ids(plain + others))
    rejected = lake.read(REJECTED_TABLE, ["value", "reason", "detail"]).sort_by("reason").to_pylist()
    assert [(row["value"], row["reason"]) for row in rejected] == [(b"\0\0\0\0\1{", "not_json"), (unknown, "unknown_schema_id")]
    assert "schema id 99" in rejected[1]["detail"]


def test_without_a_registry_they_are_rejected_by_name_and_replayed_once_there_is_one(settings, registry):
    plain, framed_json, framed_avro = serialize_plays(registry, 20)
    produce(settings, [*framed_json, *framed_avro])
    bare = settings.change(registry={"url": ""})
    report, lake = drain(bare)
    assert (report.events, report.rejected) == (0, 20)
    details = lake.read(REJECTED_TABLE, ["detail"])["detail"].to_pylist()
    assert all("Confluent's wire format" in detail and "SOUNDLAKE_SCHEMA_REGISTRY" in detail for detail in details)
    with wiring.open_replayer(bare, StepList()) as replayer:
        assert replayer.replay(DeadLetterFilter()).replayed == 0
    with wiring.open_replayer(settings, StepList()) as replayer:
        assert replayer.replay(DeadLetterFilter()).replayed == 20
    report, lake = drain(settings)
    assert (report.events, report.rejected) == (20, 0)
    assert sorted(lake.read(PLAYS.table, ["event_id"])["event_id"].to_pylist()) == sorted(read_ids(plain))


def test_an_outage_of_the_registry_rejects_nothing_and_is_over_with_it(settings, registry):
    plain, framed_json, framed_avro = serialize_plays(registry, 40)
    produce(settings, [*framed_json, *framed_avro])
    registry.failing = 503, {"error_code": 50003, "message": "leader away"}
    with pytest.raises(Unavailable, match=f"schema registry at {registry.url} does not answer"):
        drain(settings, retry_seconds=1)
    lake = wiring.open_lake(settings)
    assert len(lake.read(REJECTED_TABLE, ["reason"])) == len(lake.read(PLAYS.table, ["event_id"])) == 0
    asked = len(registry.requests)
    found = []
    running = threading.Thread(target=lambda: found.append(drain(settings, retry_seconds=120)))
    running.start()
    wait_until(lambda: len(registry.requests) > asked)
    registry.failing = None
    running.join(120)
    report, lake = found[0]
    assert (report.events, report.rejected) == (40, 0)
    assert sorted(lake.read(PLAYS.table, ["event_id"])["event_id"].to_pylist()) == sorted(read_ids(plain))


def read_values(settings: Settings, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": settings.kafka_access.servers, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(PLAYS.name, partition, 0) for partition in range(2)])
    values, deadline = [], time.monotonic() + 60
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            values.append(message.value())
    consumer.close()
    return values


@pytest.mark.parametrize("form", ["confluent-json", "confluent-avro"])
def test_what_we_publish_is_read_by_confluents_deserializers_and_by_the_sink(settings, registry, form):
    plain, *_ = serialize_plays(registry, 30)
    rows = [json.loads(value) for value in plain]
    for row in rows:
        row["played_at"] = datetime.fromisoformat(row["played_at"]).astimezone(UTC)
    events = pa.Table.from_pylist([{**row, "extra": '{"mood":"calm"}'} for row in rows], EVENT_SCHEMA)
    publishing = settings.change(registry={"publish": PublishFormat(form)})
    with closing(wiring.open_broker(publishing)) as broker:
        assert wiring.open_publisher(publishing, broker).publish(events).acknowledged == 30
    client = SchemaRegistryClient({"url": registry.url})
    is_avro = form == "confluent-avro"
    read = AvroDeserializer(client, conf=BY_TOPIC) if is_avro else JSONDeserializer(None, schema_registry_client=client, conf=BY_TOPIC)
    records = [read(value, CONTEXT) for value in read_values(settings, 30)]
    assert sorted(record["event_id"] for record in records) == sorted(read_ids(plain))
    report, lake = drain(settings)
    assert (report.events, report.rejected) == (30, 0)
    stored = lake.read(PLAYS.table, ["event_id", "played_at", "extra"])
    expected = events.select(["event_id", "played_at", "extra"])
    assert stored.sort_by("event_id").to_pylist() == expected.sort_by("event_id").to_pylist()
