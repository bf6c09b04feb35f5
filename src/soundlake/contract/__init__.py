"""What an event is: the record, the schemas derived from it, its rules, topics and ids."""

from soundlake.contract.record import BRONZE_FIELDS, FIELD_BY_NAME, FIELD_NAMES, FIELDS, SCHEMA_VERSION, Field
from soundlake.contract.schemas import BRONZE_SCHEMA, EVENT_SCHEMA, REJECTED_SCHEMA
from soundlake.contract.topics import DLQ_TOPIC, HISTORY, LIVE_TOPIC_OF_TYPE, REJECTED_TABLE, TOPIC_BY_NAME, TOPICS, Topic

__all__ = [
    "BRONZE_FIELDS", "BRONZE_SCHEMA", "DLQ_TOPIC", "EVENT_SCHEMA", "FIELDS", "FIELD_BY_NAME", "FIELD_NAMES", "HISTORY",
    "LIVE_TOPIC_OF_TYPE", "REJECTED_SCHEMA", "REJECTED_TABLE", "SCHEMA_VERSION", "TOPICS", "TOPIC_BY_NAME", "Field", "Topic",
]  # fmt: skip
