"""Encode events in Confluent's wire format: JSON or Avro, with the contract's schema registered for each topic."""

from __future__ import annotations

import json

import pyarrow as pa
from confluent_kafka.schema_registry import Schema, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from soundlake.broker.kafka.registry_connection import RegistryConnection
from soundlake.contract import Topic, encode_events
from soundlake.contract.framed_records import frame
from soundlake.contract.schemas import build_avro_schema, build_json_schema
from soundlake.errors import UsageError


class _Framer:
    """Registers one schema for each topic, under `<topic>-value`."""

    def __init__(self, connection: RegistryConnection, schema: Schema) -> None:
        self._connection, self._schema = connection, schema

    def _register(self, topic: Topic) -> int:
        """The schema's id for the topic; the client asks for it once. Raises Unavailable, or UsageError if the registry refuses it."""
        subject = f"{topic.name}-value"
        with self._connection.translate_errors(f"registering the schema {subject}"):
            return self._connection.client.register_schema(subject, self._schema)


class JsonFramer(_Framer):
    """Encodes events as JSON behind the id of `docs/event.schema.json`."""

    def __init__(self, connection: RegistryConnection) -> None:
        super().__init__(connection, Schema(json.dumps(build_json_schema()), "JSON"))

    def encode(self, topic: Topic, events: pa.Table) -> list[bytes]:
        """The values of these events. Raises Unavailable, or UsageError if the registry refuses the schema."""
        schema_id = self._register(topic)
        return [frame(schema_id, line) for line in encode_events(events)]


class AvroFramer(_Framer):
    """Encodes events by `docs/event.avsc`, with confluent-kafka's serializer."""

    def __init__(self, connection: RegistryConnection) -> None:
        super().__init__(connection, Schema(json.dumps(build_avro_schema()), "AVRO"))
        conf = {"subject.name.strategy": topic_subject_name_strategy}
        self._serialize = AvroSerializer(connection.client, self._schema, conf=conf)

    def encode(self, topic: Topic, events: pa.Table) -> list[bytes]:
        """The values of these events. Raises Unavailable, or UsageError if the schema is refused or an event lacks a required field."""
        self._register(topic)  # the serializer finds it in the client's cache then
        rows = events.to_pylist()
        if any(row.get(name) is None for row in rows for name in ("event_id", "played_at")):
            raise UsageError("an event without event_id or played_at has no form in Avro", next_step="publish it as JSON")
        context = SerializationContext(topic.name, MessageField.VALUE)
        return [value for row in rows if (value := self._serialize(row, context)) is not None]  # it is None for no row at all only
