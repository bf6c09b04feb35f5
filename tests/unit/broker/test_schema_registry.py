"""Framed records and a schema registry: what decodes, what is rejected and why, and that an outage rejects nothing."""

from __future__ import annotations

import json
import socket
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

pytest.importorskip("confluent_kafka.schema_registry.avro")

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from pydantic import SecretStr
from tests.schema_registry import FakeRegistry, serve_registry

from soundlake.broker.kafka.event_framer import AvroFramer, JsonFramer
from soundlake.broker.kafka.registry_connection import RegistryConnection
from soundlake.broker.kafka.schema_registry import SchemaRegistry
from soundlake.contract import EVENT_SCHEMA, FramedDecoder, decode_records
from soundlake.contract.framed_records import frame
from soundlake.contract.schemas import build_avro_schema, build_json_schema
from soundlake.contract.topics import PLAYS
from soundlake.errors import SettingsError, Unavailable, UsageError
from soundlake.settings import SchemaRegistryAccess

NOW_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z
BY_TOPIC = {"subject.name.strategy": topic_subject_name_strategy}
CONTEXT = SerializationContext(PLAYS.name, MessageField.VALUE)
EVENT = {"event_id": "0b0d0bff-2d0e-4f5d-8a7e-0d9c3a4b5c6d", "user_id": "ana", "played_at": "2026-11-17T10:00:00Z", "ms_played": 31_000}
PLAIN = json.dumps(EVENT).encode()
PLAYED_AT = datetime(2026, 11, 17, 10, tzinfo=UTC)
AVRO = json.dumps(build_avro_schema())
JSON_SCHEMA = json.dumps(build_json_schema())
OF_ANOTHER_TEAM = {
    "type": "record",
    "name": "Play",
    "fields": [
        {"name": "event_id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "played_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "ms_played", "type": "int"},
        {"name": "mood", "type": ["null", "string"], "default": None},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}


@pytest.fixture
def registry():
    with serve_registry() as served:
        yield served


def connect(registry: FakeRegistry, **access: object) -> RegistryConnection:
    return RegistryConnection(SchemaRegistryAccess(registry.url, **access), answer_seconds=5)


def decode(registry: FakeRegistry, *values: bytes | None):
    decoder = FramedDecoder(SchemaRegistry(connect(registry)))
    return decoder.decode(PLAYS, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64()))


def decode_plainly(*values: bytes):
    return decode_records(PLAYS, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64()))


def serialize(registry: FakeRegistry, schema: object, record: dict[str, object]) -> bytes:
    """A value as confluent-kafka's own Avro serializer writes it."""
    return AvroSerializer(SchemaRegistryClient({"url": registry.url}), json.dumps(schema), conf=BY_TOPIC)(record, CONTEXT)


def make_event(**fields: object) -> pa.Table:
    return pa.Table.from_pylist([{"event_id": EVENT["event_id"], "event_type": "play", "played_at": PLAYED_AT, **fields}], EVENT_SCHEMA)


def test_framed_json_is_decoded_as_it_was_written(registry):
    client = SchemaRegistryClient({"url": registry.url})
    serializer = JSONSerializer(JSON_SCHEMA, client, conf=BY_TOPIC)
    framed, unknown = serializer(EVENT, CONTEXT), PLAIN[:-1] + b', "score": 1.50}'
    decoded = decode(registry, framed, PLAIN, frame(1, unknown))
    assert decoded.events.equals(decode_plainly(PLAIN, PLAIN, unknown).events)
    assert decoded.event_rows.tolist() == [0, 1, 2]
    assert decoded.events["extra"].to_pylist() == [None, None, '{"score":1.50}']


def test_avro_by_the_contracts_schema_is_the_same_event_as_its_json(registry):
    value = serialize(registry, build_avro_schema(), {**EVENT, "played_at": PLAYED_AT, "extra": '{"mood":"calm","n":1.50}'})
    assert decode(registry, value).events.equals(decode_plainly(PLAIN[:-1] + b',"mood":"calm","n":1.50}').events)


def test_avro_by_a_schema_of_another_team_keeps_its_own_fields(registry):
    record = {"event_id": EVENT["event_id"], "played_at": PLAYED_AT, "ms_played": 5, "mood": None}
    record |= {"price": Decimal("1.50"), "day": date(2026, 11, 17), "tags": ["a", "ü"]}
    (event,) = decode(registry, serialize(registry, OF_ANOTHER_TEAM, record)).events.to_pylist()
    assert (event["event_id"], event["played_at"], event["ms_played"]) == (EVENT["event_id"], PLAYED_AT, 5)
    assert json.loads(event["extra"]) == {"price": "1.50", "day": "2026-11-17", "tags": ["a", "ü"]}


def test_the_contract_judges_framed_records_like_any_other(registry):
    registry.register("s", JSON_SCHEMA, "JSON")
    values = [frame(1, value) for value in (b"[]", b'{"event_id":"x"}', PLAIN.replace(b"2026-11-17", b"2030-11-17"), b"{")]
    plain = decode_plainly(*(value[5:] for value in values))
    assert decode(registry, *values).rejected.equals(plain.rejected)
    late = serialize(registry, build_avro_schema(), {**EVENT, "played_at": PLAYED_AT.replace(year=2030)})
    assert decode(registry, late).rejected["reason"].to_pylist() == ["played_at_out_of_range"]


REJECTED = {
    "unknown id": (frame(77, PLAIN), "unknown_schema_id", "schema id 77"),
    "an id no registry has": (frame(2**31 + 5, PLAIN), "unknown_schema_id", "schema id 2147483653"),
    "Protobuf": (frame(2, b"\x00\x0a\x03ana"), "unsupported_schema", "is PROTOBUF: publish as JSON or Avro"),
    "an invalid Avro schema": (frame(3, b"\x00"), "unsupported_schema", "no valid Avro schema"),
    "a schema that refers to nothing": (frame(4, b"\x00"), "unknown_schema_id", "Subject 'gone' not found"),
    "other bytes": (frame(1, b"\x02\xff\xfe"), "not_avro", "schema id 1: "),
    "a length below zero": (frame(1, b"\x09" + b"a" * 40), "not_avro", "schema id 1: "),
    "bytes after the record": (None, "not_avro", "2 bytes follow after the record"),
    "NaN": (None, "not_avro", "not JSON compliant"),
    "a time after the year 9999": (None, "not_avro", "date value out of range"),
    "UTF-16": (b'\0{\0"\0a', "not_json", "UTF-16: write UTF-8"),
    "null": (None, "null_value", "no value"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_cannot_be_read_is_rejected_between_good_records(registry, name):
    value, reason, detail = REJECTED[name]
    registry.register("plays", AVRO)
    registry.register("proto", 'syntax = "proto3";', "PROTOBUF")
    registry.register("broken", '{"type": "nothing"}')
    gone = [{"name": "soundlake.Gone", "subject": "gone", "version": 1}]
    registry.register("refers", '{"type":"record","name":"R","fields":[{"name":"g","type":"soundlake.Gone"}]}', references=gone)
    good = serialize(registry, build_avro_schema(), {**EVENT, "played_at": PLAYED_AT})
    if name == "bytes after the record":
        value = good + b"zz"
    if name == "NaN":
        schema = {"type": "record", "name": "F", "fields": [{"name": "ms_played", "type": "double"}]}
        value = serialize(registry, schema, {"ms_played": float("nan")})
    if name == "a time after the year 9999":
        value = serialize(registry, build_avro_schema(), {**EVENT, "played_at": 2**62})
    decoded = decode(registry, good, value, PLAIN)
    assert decoded.event_rows.tolist() == [0, 2]
    (rejected,) = decoded.rejected.to_pylist()
    assert (rejected["row"], rejected["reason"]) == (1, reason)
    assert detail in rejected["detail"]
    assert len(rejected["detail"]) < 200
    assert "\n" not in rejected["detail"]


def test_any_bytes_behind_a_known_id_end_in_one_of_both(registry):
    good = serialize(registry, build_avro_schema(), {**EVENT, "played_at": PLAYED_AT})
    values = [good[:end] for end in range(6, len(good))] + [good[:place] + b"\xff" + good[place + 1 :] for place in range(5, len(good))]
    decoded = decode(registry, *values)
    assert sorted([*decoded.event_rows.tolist(), *decoded.rejected["row"].to_pylist()]) == list(range(len(values)))
    assert set(decoded.rejected["reason"].to_pylist()) >= {"not_avro"}


def test_each_schema_is_asked_for_once(registry):
    value = serialize(registry, build_avro_schema(), {**EVENT, "played_at": PLAYED_AT})
    registry.requests.clear()
    decoder = FramedDecoder(SchemaRegistry(connect(registry)))
    for _ in range(3):
        decoder.decode(PLAYS, pa.array([value, PLAIN] * 50 + [frame(9, PLAIN)] * 50), pa.array([NOW_MS] * 150, pa.int64()))
    assert registry.requests == ["GET /schemas/ids/1", *["GET /schemas/ids/9"] * 3]


def test_plain_records_do_not_need_the_registry(registry):
    registry.failing = 503, {}
    assert len(decode(registry, PLAIN, b"\0", b"").events) == 1
    assert registry.requests == []


def test_the_workers_of_spark_decode_the_same(registry):
    decoding = pytest.importorskip("soundlake.streaming.decoding")
    good = serialize(registry, build_avro_schema(), {**EVENT, "played_at": PLAYED_AT})
    values = [good, PLAIN, frame(9, PLAIN), good + b"z", b"no event"]
    batch = pa.RecordBatch.from_pydict(
        {
            "topic": [PLAYS.name] * len(values),
            "partition": pa.array([0] * len(values), pa.int32()),
            "offset": list(range(len(values))),
            "timestamp": pa.array([datetime.fromtimestamp(NOW_MS / 1_000, UTC)] * len(values), pa.timestamp("us", tz="UTC")),
            "key": pa.nulls(len(values), pa.binary()),
            "value": pa.array(values, pa.binary()),
        }
    )
    rows = [row for part in decoding.decode_batches(iter([batch]), SchemaRegistryAccess(registry.url)) for row in part.to_pylist()]
    found = {row["_offset"]: row for row in rows}
    decoded = decode(registry, *values)
    assert [found[row]["event_id"] for row in decoded.event_rows] == decoded.events["event_id"].to_pylist()
    assert [(row["row"], row["reason"], row["detail"]) for row in decoded.rejected.to_pylist()] == [
        (place, found[place]["reason"], found[place]["detail"]) for place in (2, 3, 4)
    ]
    assert [found[place]["_value"] for place in range(len(values))] == values


OUTAGES = {
    "503": (503, {"error_code": 50003, "message": "leader away"}),
    "too many requests": (429, {"error_code": 429, "message": "slow down"}),
    "a proxy's 502": (502, b"<html>"),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_a_registry_that_cannot_answer_rejects_nothing(registry, name):
    registry.failing = OUTAGES[name]
    with pytest.raises(Unavailable, match=f"the schema registry at {registry.url} does not answer"):
        decode(registry, PLAIN, frame(1, PLAIN))


def test_a_registry_that_is_away_rejects_nothing_and_is_used_again_when_it_is_back():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    fake = FakeRegistry(f"http://127.0.0.1:{port}")
    fake.register("s", JSON_SCHEMA, "JSON")
    decoder = FramedDecoder(SchemaRegistry(connect(fake)))
    values, times = pa.array([frame(1, PLAIN)]), pa.array([NOW_MS], pa.int64())
    with pytest.raises(Unavailable, match="does not answer"):
        decoder.decode(PLAYS, values, times)
    with serve_registry(fake, port):
        assert len(decoder.decode(PLAYS, values, times).events) == 1


NO_REGISTRIES = {
    "another server": (404, {"error_code": 404, "message": "HTTP 404 Not Found"}),
    "a page": (200, b"<html>login</html>"),
    "other JSON": (200, {"hello": "world"}),
    "a list": (200, []),
}


@pytest.mark.parametrize("name", NO_REGISTRIES)
def test_what_is_no_registry_rejects_nothing(registry, name):
    registry.failing = NO_REGISTRIES[name]
    with pytest.raises(SettingsError, match="is no schema registry"):
        decode(registry, frame(1, PLAIN))


def test_a_password_is_sent_and_never_shown(registry):
    registry.login = "ana:s3cret"
    registry.register("s", JSON_SCHEMA, "JSON")
    right, wrong = (connect(registry, username="ana", password=SecretStr(word)) for word in ("s3cret", "wr0ng"))
    assert SchemaRegistry(right).find_reader(1)
    with pytest.raises(SettingsError, match="refuses ana") as refused:
        SchemaRegistry(wrong).find_reader(1)
    assert "wr0ng" not in f"{refused.value!s} {refused.value.__cause__!r} {wrong._access!r}"


def test_a_file_of_authorities_that_does_not_exist_is_named(registry, tmp_path):
    with pytest.raises(SettingsError, match=r"SOUNDLAKE_SCHEMA_REGISTRY_CA_FILE=.*none\.pem"):
        connect(registry, ca_file=str(tmp_path / "none.pem"))


@pytest.mark.parametrize("framer", [JsonFramer, AvroFramer])
def test_what_is_published_is_read_back_as_the_same_event(registry, framer):
    events = make_event(user_id="ana", track_name='“ü”\n"', ms_played=2**40, is_skipped=False, extra='{"mood":"calm"}')
    values = framer(connect(registry)).encode(PLAYS, events)
    assert decode(registry, *values).events.equals(events)
    assert list(registry.versions) == ["user_plays-value"]


def test_confluents_own_deserializers_read_what_is_published(registry):
    events, client = make_event(ms_played=5), SchemaRegistryClient({"url": registry.url})
    (framed,) = JsonFramer(connect(registry)).encode(PLAYS, events)
    read = JSONDeserializer(None, schema_registry_client=client, conf=BY_TOPIC)
    assert read(framed, CONTEXT) == {
        "event_id": EVENT["event_id"],
        "event_type": "play",
        "played_at": "2026-11-17T10:00:00.000Z",
        "ms_played": 5,
    }
    (framed,) = AvroFramer(connect(registry)).encode(PLAYS, events)
    record = AvroDeserializer(client, AVRO, conf=BY_TOPIC)(framed, CONTEXT)
    assert {name: value for name, value in record.items() if value is not None} == {
        "event_id": EVENT["event_id"], "event_type": "play", "played_at": PLAYED_AT, "ms_played": 5,
    }  # fmt: skip
    assert [json.loads(entry["schema"]) for entry in registry.schemas] == [build_json_schema(), build_avro_schema()]


@pytest.mark.parametrize("framer", [JsonFramer, AvroFramer])
def test_a_schema_is_registered_once_and_a_refusal_is_named(registry, framer):
    encode = framer(connect(registry)).encode
    for _ in range(3):
        encode(PLAYS, make_event())
    assert len(registry.requests) == 1
    registry.failing = 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
    with pytest.raises(UsageError, match=r"user_plays-value.*incompatible"):
        framer(connect(registry)).encode(PLAYS, make_event())


def test_an_event_without_a_required_field_is_refused_in_avro(registry):
    with pytest.raises(UsageError, match="without event_id or played_at"):
        AvroFramer(connect(registry)).encode(PLAYS, make_event(played_at=None))


def test_the_clients_schema_of_the_contract_is_valid_avro(registry):
    assert SchemaRegistryClient({"url": registry.url}).register_schema("s", Schema(AVRO, "AVRO")) == 1
