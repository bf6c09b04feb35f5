"""What an event is: the record, the schemas derived from it, its rules, topics and ids, and the way to the wire and back."""

from soundlake.contract.decode import Decoded, decode_records
from soundlake.contract.encode import encode_events
from soundlake.contract.framed_records import FRAMED_REJECTION_REASONS, FramedDecoder
from soundlake.contract.ids import make_event_ids
from soundlake.contract.record import BRONZE_FIELDS, FIELD_BY_NAME, FIELD_NAMES, FIELDS, SCHEMA_VERSION, Field
from soundlake.contract.reference_decoder import REJECTION_REASONS, Rejection, decode_record
from soundlake.contract.refused_rows import wrap_refused_row
from soundlake.contract.rules import RULES, Rule, list_rules
from soundlake.contract.schemas import BRONZE_SCHEMA, EVENT_SCHEMA, REJECTED_SCHEMA
from soundlake.contract.topics import DLQ_TOPIC, HISTORY, LIVE_TOPIC_OF_TYPE, REJECTED_TABLE, TOPIC_BY_NAME, TOPICS, Topic

__all__ = [
    "BRONZE_FIELDS",
    "BRONZE_SCHEMA",
    "DLQ_TOPIC",
    "EVENT_SCHEMA",
    "FIELDS",
    "FIELD_BY_NAME",
    "FIELD_NAMES",
    "FRAMED_REJECTION_REASONS",
    "HISTORY",
    "LIVE_TOPIC_OF_TYPE",
    "REJECTED_SCHEMA",
    "REJECTED_TABLE",
    "REJECTION_REASONS",
    "RULES",
    "SCHEMA_VERSION",
    "TOPICS",
    "TOPIC_BY_NAME",
    "Decoded",
    "Field",
    "FramedDecoder",
    "Rejection",
    "Rule",
    "Topic",
    "decode_record",
    "decode_records",
    "encode_events",
    "list_rules",
    "make_event_ids",
    "wrap_refused_row",
]  # fmt: skip
