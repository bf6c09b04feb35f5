"""Schemas derived from the contract: Arrow, Spark's DDL, JSON Schema, Avro, dbt's columns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from soundlake.contract.record import BRONZE_FIELDS, FIELDS, SCHEMA_VERSION, Field, Kind
from soundlake.contract.topics import TOPICS

_TIMESTAMP = pa.timestamp("us", tz="UTC")
_ARROW: dict[Kind, pa.DataType] = {
    "text": pa.string(), "json": pa.string(), "integer": pa.int64(), "boolean": pa.bool_(), "timestamp": _TIMESTAMP,
}  # fmt: skip
_SPARK: dict[Kind, str] = {
    "text": "STRING", "json": "STRING", "integer": "BIGINT", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP",
}  # fmt: skip
_DBT: dict[Kind, str] = {
    "text": "varchar", "json": "varchar", "integer": "bigint", "boolean": "boolean", "timestamp": "timestamp with time zone",
}  # fmt: skip
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_MONTHS_AND_DAYS = (
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
)  # fmt: skip
_DATE = f"(?!0000)(?:[0-9]{{4}}-(?:{_MONTHS_AND_DAYS})|{_LEAP_YEAR}-02-29)"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME_PATTERN = f"^{_DATE}[Tt ]{_CLOCK}:[0-5][0-9](?:\\.[0-9]{{1,9}})?(?:[Zz]|[+-]{_CLOCK})$"
_UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_AVRO: dict[Kind, Any] = {
    "text": "string", "json": "string", "integer": "long", "boolean": "boolean",
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
}  # fmt: skip
_JSON: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "json": {"type": "string", "contentMediaType": "application/json"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "pattern": _TIME_PATTERN, "maxLength": len("2026-11-22T16:05:09.123456789+00:00")},
}
_BEYOND_JSON_SCHEMA = (
    "What a JSON Schema cannot say: the record is one object in UTF-8 with at most 100 levels and no duplicate field; an integer is "
    "written in digits alone, neither 1.0 nor 1e3; a text has no half of a surrogate pair; played_at is from 2000-01-01T00:00:00Z to one "
    "day after the record's own time in the log, produced_at in the years 1 to 9999 of UTC; event_type is one that the topic carries and "
    "is neither null nor missing on user_history."
)


def build_arrow_schema(fields: tuple[Field, ...] = FIELDS) -> pa.Schema:
    """Build the Arrow schema of the fields. All are nullable: bronze stores what it receives."""
    return pa.schema([pa.field(field.name, _ARROW[field.kind]) for field in fields])


EVENT_SCHEMA = build_arrow_schema()
"""One event, without the columns that bronze adds."""

BRONZE_SCHEMA = build_arrow_schema((*FIELDS, *BRONZE_FIELDS))
"""One row of an event table, without the partition columns (year, month, …: zero-padded text)."""

REJECTED_SCHEMA = pa.schema(
    [
        pa.field("value", pa.binary()),
        pa.field("key", pa.binary()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("event_id", pa.string()),
        *build_arrow_schema(BRONZE_FIELDS),
    ]
)
"""One row of bronze/rejected: the record's bytes, the reason of the rejection, and its position in the log."""


def build_spark_ddl(fields: tuple[Field, ...] = FIELDS) -> str:
    """Build the DDL string with which Spark reads events."""
    return ", ".join(f"{field.name} {_SPARK[field.kind]}" for field in fields)


def build_dbt_columns(fields: tuple[Field, ...] = (*FIELDS, *BRONZE_FIELDS)) -> list[dict[str, str]]:
    """List the columns of dbt's bronze sources, with type and description."""
    return [{"name": field.name, "data_type": _DBT[field.kind], "description": field.description} for field in fields]


def build_json_schema() -> dict[str, Any]:
    """Build the JSON Schema of an event on the wire. Unknown fields are allowed; bronze stores them in `extra`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Soundlake listening event",
        "$comment": _BEYOND_JSON_SCHEMA,
        "x-schema-version": SCHEMA_VERSION,
        "type": "object",
        "required": [field.name for field in FIELDS if field.required and not field.set_by_topic],
        "properties": {field.name: _describe(field) for field in FIELDS if field.name != "extra"},
        "additionalProperties": True,
    }


def build_avro_schema() -> dict[str, Any]:
    """Build the Avro schema of an event on the wire. Unknown fields are in `extra`, as one JSON object.

    Every field but `event_id` and `played_at` is null by default, so that a producer may leave it out and a new field is compatible.
    """
    return {
        "type": "record",
        "name": "ListeningEvent",
        "namespace": "soundlake",
        "doc": "Soundlake listening event",
        "fields": [_describe_in_avro(field) for field in FIELDS],
    }


def _describe_in_avro(field: Field) -> dict[str, Any]:
    described = {"name": field.name, "type": _AVRO[field.kind], "doc": field.description + describe_default(field)}
    if field.required and not field.set_by_topic:
        return described
    return {**described, "type": ["null", described["type"]], "default": None}


def _describe(field: Field) -> dict[str, Any]:
    shape = dict(_JSON[field.kind])
    if field.name == "event_id":
        shape |= {"pattern": _UUID_PATTERN, "maxLength": 36}
    if field.name == "event_type":
        shape["enum"] = [*field.values, None]
    elif field.values:
        shape["examples"] = list(field.values)
    if field.set_by_topic or not field.required:
        shape["type"] = [shape["type"], "null"]
    return {**shape, "description": field.description + describe_default(field)}


def describe_default(field: Field) -> str:
    """Say on which topics a field that the topic sets may be left out; nothing for other fields."""
    several = ", ".join(topic.name for topic in TOPICS if topic.default_event_type is None)
    return f"; required on {several}, set by the topic elsewhere" if field.set_by_topic else ""
