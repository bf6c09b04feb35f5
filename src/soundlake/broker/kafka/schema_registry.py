"""The readers of framed records, by the schemas of a registry: JSON as it was written, Avro by confluent-kafka's deserializer."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache, partial
from uuid import UUID

import pyarrow as pa
from confluent_kafka.schema_registry import prefix_schema_id_deserializer
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import SerializationContext

from soundlake.broker.kafka.registry_connection import RegistryConnection, UnknownSchema
from soundlake.contract.framed_records import HIGHEST_SCHEMA_ID, ReadFramed, Unframed, strip_frames
from soundlake.contract.reference_decoder import Rejection
from soundlake.contract.unknown_fields import merge_unknown_fields
from soundlake.settings import SchemaRegistryAccess

_SHOWN_CHARACTERS = 160


@lru_cache(maxsize=1)
def open_registry(access: SchemaRegistryAccess) -> SchemaRegistry:
    """The registry of this process: a worker of Spark keeps the schemas from one batch to the next."""
    return SchemaRegistry(RegistryConnection(access))


class SchemaRegistry:
    """Finds the readers of framed records (`contract.framed_records.SchemaReaders`). Not thread-safe.

    A payload of a JSON Schema describes itself, and the contract judges it: it is not validated against the producer's schema, in which a
    `$ref` could make this process fetch any address. Avro is read by the producer's schema: fields unknown to the contract are kept.
    """

    def __init__(self, connection: RegistryConnection) -> None:
        self._connection = connection
        self._payload = io.BytesIO()
        self._deserialize = AvroDeserializer(connection.client, conf={"schema.id.deserializer": self._open_payload})

    def find_reader(self, schema_id: int) -> ReadFramed | Rejection:
        """The reader of this schema's records. The client caches schemas: each is fetched once, one that is unknown once a call."""
        named = f"schema id {schema_id}"
        if schema_id > HIGHEST_SCHEMA_ID:
            return Rejection("unknown_schema_id", f"{named}: no schema registry has an id above {HIGHEST_SCHEMA_ID}")
        try:
            schema = self._connection.fetch_schema(schema_id)
            if schema.schema_type == "JSON":
                return strip_frames
            if schema.schema_type not in ("AVRO", None):  # a registry leaves the type of an Avro schema out
                return Rejection("unsupported_schema", f"{named} is {schema.schema_type}: publish as JSON or Avro")
            self._connection.fetch_references(schema, schema_id)  # now: nothing that follows asks the registry
        except UnknownSchema as error:
            return Rejection("unknown_schema_id", _shorten(f"{named}: {error.message}"))
        try:
            self._deserialize._get_parsed_schema(schema)
        except Exception as error:  # noqa: BLE001  # fastavro's UnknownType and SchemaParseException, and what it stumbles over
            return Rejection("unsupported_schema", _shorten(f"{named}: no valid Avro schema: {error}"))
        return partial(self._read_avro, schema_id)

    def _read_avro(self, schema_id: int, values: pa.Array) -> Unframed:
        lines: list[bytes | None] = []
        rejected: dict[int, Rejection] = {}
        for place, value in enumerate(values.to_pylist()):
            try:
                lines.append(self._read_record(value))
            except Exception as error:  # noqa: BLE001  # bytes of others in a library of others: EOFError, IndexError, OverflowError, …
                lines.append(None)
                rejected[place] = Rejection("not_avro", _shorten(f"schema id {schema_id}: {error or type(error).__name__}"))
        return Unframed(pa.array(lines, pa.binary()), rejected)

    def _read_record(self, value: bytes) -> bytes:
        """One record as JSON, without nulls, and with the fields of `extra` as fields of the record. Raises any error for other bytes."""
        record = self._deserialize(value)
        rest = len(value) - self._payload.tell()
        if rest:
            raise ValueError(f"{rest} bytes follow after the record")
        if not isinstance(record, dict):
            return _write_json(record)
        known = {name: field for name, field in record.items() if field is not None}
        extra = known.pop("extra", None)
        if not isinstance(extra, str):
            return _write_json(known if extra is None else {**known, "extra": extra})
        return merge_unknown_fields(_write_json(known), extra)

    def _open_payload(self, payload: bytes, context: SerializationContext | None, schema_id: SchemaId) -> io.BytesIO:
        self._payload = prefix_schema_id_deserializer(payload, context, schema_id)
        return self._payload


def _write_json(record: object) -> bytes:
    return json.dumps(record, default=_write_logical_type, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _write_logical_type(value: object) -> str:
    """Values that JSON does not have: times in RFC 3339, numbers of a fixed scale as text, bytes as in Avro's own JSON encoding."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "…"
