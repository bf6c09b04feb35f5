"""Schemas of other systems, derived from the record: Arrow, Spark's DDL, JSON Schema, dbt's columns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from soundlake.contract.record import BRONZE_FIELDS, FIELDS, SCHEMA_VERSION, Field, Kind

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
_JSON: dict[Kind, dict[str, Any]] = {
    "text": {"type": "string"},
    "json": {"type": "string", "contentMediaType": "application/json"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
}


def build_arrow_schema(fields: tuple[Field, ...] = FIELDS) -> pa.Schema:
    """The Arrow schema of the given fields; all nullable, since bronze keeps what it gets."""
    return pa.schema([pa.field(field.name, _ARROW[field.kind]) for field in fields])


EVENT_SCHEMA = build_arrow_schema()
"""One event, without bronze's own columns."""

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
"""One row of bronze/rejected: the record's bytes, why it was refused, and where it stood."""


def build_spark_ddl(fields: tuple[Field, ...] = FIELDS) -> str:
    """The DDL string that Spark reads events with."""
    return ", ".join(f"{field.name} {_SPARK[field.kind]}" for field in fields)


def build_dbt_columns(fields: tuple[Field, ...] = (*FIELDS, *BRONZE_FIELDS)) -> list[dict[str, str]]:
    """The columns of dbt's bronze sources, with type and description."""
    return [{"name": field.name, "data_type": _DBT[field.kind], "description": field.description} for field in fields]


def build_json_schema() -> dict[str, Any]:
    """The JSON Schema of an event on the wire; unknown fields are allowed there, and bronze keeps them in `extra`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Soundlake listening event",
        "x-schema-version": SCHEMA_VERSION,
        "type": "object",
        "required": [field.name for field in FIELDS if field.required],
        "properties": {field.name: _describe(field) for field in FIELDS if field.name != "extra"},
        "additionalProperties": True,
    }


def _describe(field: Field) -> dict[str, Any]:
    shape = dict(_JSON[field.kind])
    if field.name == "event_id":
        shape["format"] = "uuid"
    if field.name == "event_type":
        shape["enum"] = list(field.values)
    elif field.values:
        shape["examples"] = list(field.values)
    if not field.required:
        shape["type"] = [shape["type"], "null"]
    return {**shape, "description": field.description}
