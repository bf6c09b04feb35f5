"""Recognise what other producers write in place of plain JSON events, so that a rejection names the format and the way out.

Only rejected records are inspected. Formats: the wire format of Confluent's serializers, byte order marks, the envelopes of Debezium, of
Kafka Connect's JsonConverter and of CloudEvents (structured mode), and times as numbers.
"""

from __future__ import annotations

import codecs
import re

from soundlake.contract.timestamps import format_timestamp
from soundlake.contract.unknown_fields import Members, read_members

FRAME_BYTES = 5
"""Confluent's wire format: a zero byte and the id of the schema as four bytes, big endian; then the payload."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b'{\0"\0', b'\0{\0"')
_NUMBER = re.compile(rb'"?(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"?')
_FIRST_SECOND, _LAST_SECOND = 946_684_800, 4_102_444_800
"""2000 and 2100: a number between them in one unit is outside of them in the others."""
_MICROS_OF_UNIT = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}

_CLOUD_EVENT = {"specversion", "type", "source"}
_UNWRAP = "unwrap it with io.debezium.transforms.ExtractNewRecordState"
_NO_SCHEMA = "set value.converter.schemas.enable=false"


def recognise_bytes(value: bytes) -> str | None:
    """Name the format of a value that is no JSON in UTF-8, and what to change; None if it is none of those known."""
    if value.startswith(_UTF16):
        return "UTF-16: write UTF-8"
    if value.startswith(codecs.BOM_UTF8):
        return "a byte order mark comes first: write UTF-8 without one"
    if value[:1] == b"\0" and len(value) > FRAME_BYTES:
        schema_id = int.from_bytes(value[1:FRAME_BYTES], "big")
        payload = "JSON" if value[FRAME_BYTES:].lstrip().startswith(b"{") else "Avro or Protobuf"
        return (
            f"Confluent's wire format (magic byte 0, schema id {schema_id}, then {payload}): set SOUNDLAKE_SCHEMA_REGISTRY, or write plain "
            "JSON, in Connect with org.apache.kafka.connect.json.JsonConverter and value.converter.schemas.enable=false"
        )
    return None


def recognise_envelope(members: Members) -> str | None:
    """Name the envelope that this JSON object is, and how to publish its content alone; None if it is none of those known."""
    names = set(members)
    if names == {"schema", "payload"}:
        try:
            inner = set(read_members(bytes(members["payload"])))
        except (ValueError, RecursionError):  # no object, or one that no reader accepts
            inner = set()
        if _is_change_event(inner):
            return f"a Debezium change event in a Connect envelope (schema, payload): {_UNWRAP}, and {_NO_SCHEMA}"
        return f"a Connect envelope (schema, payload): {_NO_SCHEMA}"
    if _is_change_event(names):
        return f"a Debezium change event (op, before, after): {_UNWRAP}"
    if names >= _CLOUD_EVENT:
        return "a CloudEvents envelope (specversion, type, source): publish in binary mode, where the value is the data alone"
    return None


def recognise_time(raw: bytes) -> str | None:
    """Name the unit of a number that is written where a time is expected, and the text to write; None if it is no number."""
    found = _NUMBER.fullmatch(raw)
    if found is None:
        return None
    number = float(found[1])
    for unit, factor in _MICROS_OF_UNIT.items():
        if _FIRST_SECOND * 1e6 <= number * factor < _LAST_SECOND * 1e6:
            return f'a number, as {unit} since 1970 it is "{format_timestamp(round(number * factor))}": write that text'
    return 'a number: write a text such as "2026-11-22T16:00:00Z"'


def _is_change_event(names: set[str]) -> bool:
    return "op" in names and not names.isdisjoint({"before", "after"})
