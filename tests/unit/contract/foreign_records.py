"""Records as other producers write them, by name: the value, the reason of its rejection, and what the detail must name."""

from __future__ import annotations

import codecs
import json

EVENT = {"event_id": "0b0d0bff-2d0e-4f5d-8a7e-0d9c3a4b5c6d", "user_id": "ana", "played_at": "2026-11-17T10:00:00Z"}
PLAIN = json.dumps(EVENT).encode()
_ROW = {"before": None, "after": EVENT, "source": {"connector": "postgresql"}, "op": "c", "ts_ms": 1_795_000_000_000}
_SCHEMA = {"type": "struct", "fields": [{"type": "string", "optional": False, "field": "event_id"}], "optional": False}
_CLOUD_EVENT = {"specversion": "1.0", "type": "com.example.play", "source": "/player", "id": "1", "datacontenttype": "application/json"}


def frame(schema_id: int, payload: bytes) -> bytes:
    """The payload in the wire format of Confluent's serializers."""
    return b"\0" + schema_id.to_bytes(4, "big") + payload


def write(**fields: object) -> bytes:
    """The event with these fields."""
    return json.dumps(EVENT | fields).encode()


FOREIGN_RECORDS: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "Confluent JSON": (frame(17, PLAIN), "not_json", ("Confluent's wire format", "schema id 17, then JSON", "JsonConverter")),
    "Confluent JSON, schema id of four bytes": (frame(2**31 + 128, PLAIN), "not_utf8", ("schema id 2147483776", "then JSON")),
    "Confluent Avro": (frame(3, b"\x48" + b"0" * 36 + b"\x02\x06ana"), "not_json", ("schema id 3, then Avro or Protobuf",)),
    "Confluent Avro, no text": (frame(3, b"\x02\xff\xfe"), "not_utf8", ("schema id 3, then Avro or Protobuf",)),
    "UTF-8 with a byte order mark": (codecs.BOM_UTF8 + PLAIN, "not_json", ("byte order mark", "without one")),
    "UTF-16 with a byte order mark": (PLAIN.decode().encode("utf-16"), "not_utf8", ("UTF-16: write UTF-8",)),
    "UTF-16, little endian": (PLAIN.decode().encode("utf-16-le"), "not_json", ("UTF-16: write UTF-8",)),
    "UTF-16, big endian": (PLAIN.decode().encode("utf-16-be"), "not_json", ("UTF-16: write UTF-8",)),
    "Debezium": (json.dumps(_ROW).encode(), "missing_event_id", ("a Debezium change event (op", "ExtractNewRecordState")),
    "Debezium, a delete": (json.dumps({"op": "d", "before": EVENT}).encode(), "missing_event_id", ("a Debezium change event",)),
    "Debezium with a schema": (
        json.dumps({"schema": _SCHEMA, "payload": _ROW}).encode(),
        "missing_event_id",
        ("a Debezium change event in a Connect envelope", "ExtractNewRecordState", "schemas.enable=false"),
    ),
    "Connect": (
        json.dumps({"schema": _SCHEMA, "payload": EVENT}).encode(), "missing_event_id", ("a Connect envelope", "schemas.enable=false"),
    ),
    "Connect, null": (b'{"schema":null,"payload":null}', "missing_event_id", ("a Connect envelope",)),
    "CloudEvents": (json.dumps(_CLOUD_EVENT | {"data": EVENT}).encode(), "missing_event_id", ("CloudEvents envelope", "binary mode")),
    "seconds": (write(played_at=1_795_000_000), "bad_played_at", ('as seconds since 1970 it is "2026-11-18T11:06:40Z"',)),
    "seconds, a float": (write(played_at=1_795_000_000.25), "bad_played_at", ('seconds since 1970 it is "2026-11-18T11:06:40.250000Z"',)),
    "seconds with an exponent": (write().replace(b'"2026-11-17T10:00:00Z"', b"1.795e9"), "bad_played_at", ("1.795e9 is", "11:06:40Z")),
    "seconds in quotes": (write(played_at="1795000000"), "bad_played_at", ("as seconds since 1970",)),
    "milliseconds": (write(played_at=1_795_000_000_123), "bad_played_at", ("milliseconds since 1970", "06:40.123000Z")),
    "microseconds": (write(played_at=1_795_000_000_123_456), "bad_played_at", ("microseconds since 1970", "06:40.123456Z")),
    "nanoseconds": (write(played_at=1_795_000_000_123_456_000), "bad_played_at", ("nanoseconds since 1970", "06:40.1234")),
    "a number that is no time": (write(played_at=-5), "bad_played_at", ("-5 is a number: write a text such as",)),
    "a number of 5,000 digits": (write().replace(b'"2026-11-17T10:00:00Z"', b"9" * 5_000), "bad_played_at", ("9… is a number: write",)),
    "another time": (write(produced_at=1_795_000_000), "wrong_type", ("produced_at (timestamp): 1795000000 is", "write that text")),
}  # fmt: skip
"""All are rejected from user_plays."""

UNNAMED = {
    "a zero byte": (b"\0", "not_json"),
    "too short for a frame": (b"\0\0\0\0\1", "not_json"),
    "an object of others": (b'{"op":"c","id":1}', "missing_event_id"),
    "schema and more": (b'{"schema":1,"payload":2,"more":3}', "missing_event_id"),
    "a text as time": (write(played_at="soon"), "bad_played_at"),
    "a list as time": (write(played_at=[1_795_000_000]), "bad_played_at"),
}
"""Records that are like those and are not named."""
