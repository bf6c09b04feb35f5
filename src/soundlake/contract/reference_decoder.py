"""What must decode, said for one record: the definition that the bulk decoder agrees with on every input.

A record decodes if it is one JSON object (RFC 8259) in UTF-8 with
- `event_id` a UUID in its text form (8-4-4-4-12 hex digits, upper case taken in, lower case given out),
- `event_type` known and one that the topic carries,
- `played_at` a moment (see `moments.parse_timestamp`) from 2000-01-01 to one day after the record's own time in the log,
- every other field of the contract null or of its type: an integer is digits alone (neither 1.0 nor 1e3) and fits 64 bits.

Decided where JSON leaves it open: a field that stands twice is refused (nobody can say which value was meant); so are NaN, Infinity,
half a surrogate pair, a byte order mark, anything but blanks around the object, and more than MAX_DEPTH levels. Blanks and line breaks
around and between are fine, U+0000 written as an escape too, and texts stay as they are, untrimmed and of any length. A field that the
contract does not know may hold any JSON, numbers of any size and fields standing twice inside it included: it is kept as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
import orjson

from soundlake.contract.unknown_fields import KNOWN_FIELDS, MAX_DEPTH, DuplicateField, Members, extract_unknown_fields, read_members
from soundlake.contract.timestamps import parse_timestamp
from soundlake.contract.record import EVENT_TYPES, FIELD_BY_NAME
from soundlake.contract.refused_rows import read_refused_row
from soundlake.contract.topics import Topic

EARLIEST_PLAYED_AT = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds."""
PLAYED_AT_LEAD = 86_400_000_000
"""How far `played_at` may lie ahead of the record's time in the log, in microseconds: one day."""

REJECTION_REASONS = (
    "null_value", "not_utf8", "not_json", "too_deep", "not_an_object", "duplicate_field", "missing_event_id", "bad_event_id",
    "unknown_event_type", "wrong_topic", "bad_played_at", "played_at_out_of_range", "wrong_type",
)  # fmt: skip
"""Why the decoder refuses a record, in the order of the checks; an importer's own reasons come on top (see refusal)."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_INTEGER = re.compile(rb"-?[0-9]{1,19}")
_SHOWN = 80


@dataclass(frozen=True)
class Rejection:
    """Why one record is no event: a word of a fixed vocabulary, what was found, and its event_id where a valid one could be read."""

    reason: str
    detail: str
    event_id: str | None = None


Values = dict[str, str | int | bool | None]
"""One event by field; moments as microseconds since 1970."""


class _WrongType(ValueError):
    """A field does not hold what its kind asks for."""


def decode_record(topic: Topic, value: bytes | None, timestamp_ms: int) -> Values | Rejection:
    """The event that a record of the topic holds, or why it holds none; `timestamp_ms` is the record's own time in the log."""
    if value is None:
        return Rejection("null_value", "the record has no value")
    try:
        members = _read_object(value)
    except DuplicateField as found:
        return Rejection("duplicate_field", str(found), _peek_event_id(found.members))
    if isinstance(members, Rejection):
        return members
    if (refused := read_refused_row(members)) is not None:
        return Rejection(refused.reason, f"a row of {refused.source}, refused by the import, of {refused.user_id}")
    return _judge_fields(topic, members, timestamp_ms)


def _read_object(value: bytes) -> Members | Rejection:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Rejection("not_utf8", f"byte {error.start} begins no character")
    try:
        return read_members(value)
    except RecursionError:
        return Rejection("too_deep", f"objects and arrays nest deeper than {MAX_DEPTH}")
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError) and _is_json(value):
            return Rejection("not_an_object", _shorten(value))
        return Rejection("not_json", str(error).removeprefix("JSON is malformed: "))


def _judge_fields(topic: Topic, members: Members, timestamp_ms: int) -> Values | Rejection:
    event_id = _peek_event_id(members)
    if event_id is None:
        shown = _show(members, "event_id")
        return Rejection("missing_event_id", "no event_id") if shown == "null" else Rejection("bad_event_id", shown)
    values: Values = {}
    wrong: list[str] = []
    for name in sorted(KNOWN_FIELDS & members.keys()):
        try:
            values[name] = _read_value(FIELD_BY_NAME[name].kind, bytes(members[name]))
        except _WrongType:
            wrong.append(name)
    problem = _find_problem(topic, members, values, timestamp_ms)
    if problem is None and wrong:
        problem = "wrong_type", f"{wrong[0]} ({FIELD_BY_NAME[wrong[0]].kind}): {_show(members, wrong[0])}"
    return Rejection(*problem, event_id) if problem else values | {"event_id": event_id, "extra": extract_unknown_fields(members)}


def _find_problem(topic: Topic, members: Members, values: Values, timestamp_ms: int) -> tuple[str, str] | None:
    event_type, played_at = values.get("event_type"), values.get("played_at")
    if event_type not in EVENT_TYPES:
        return "unknown_event_type", _show(members, "event_type")
    if event_type not in topic.event_types:
        return "wrong_topic", f"a {event_type} does not belong to {topic.name}"
    if not isinstance(played_at, int):
        return "bad_played_at", _show(members, "played_at")
    if not EARLIEST_PLAYED_AT <= played_at <= timestamp_ms * 1_000 + PLAYED_AT_LEAD:
        return "played_at_out_of_range", _show(members, "played_at")
    return None


def _read_value(kind: str, raw: bytes) -> str | int | bool | None:
    """The value of a field of that kind from the bytes that were written."""
    if raw == b"null":
        return None
    if kind == "boolean" and raw in (b"true", b"false"):
        return raw == b"true"
    if kind == "integer" and _INTEGER.fullmatch(raw) and -(2**63) <= (number := int(raw)) < 2**63:
        return number
    if kind in ("text", "timestamp") and raw.startswith(b'"'):
        text: str = orjson.loads(raw)
        found = text if kind == "text" else parse_timestamp(text)
        if found is not None:
            return found
    raise _WrongType(kind)


def _peek_event_id(members: Members) -> str | None:
    raw = bytes(members.get("event_id", b""))
    text = orjson.loads(raw) if raw.startswith(b'"') else ""
    return text.lower() if _UUID.fullmatch(text) else None


def _is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _show(members: Members, name: str) -> str:
    return _shorten(bytes(members.get(name, b"null")))


def _shorten(raw: bytes) -> str:
    text = raw.decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
