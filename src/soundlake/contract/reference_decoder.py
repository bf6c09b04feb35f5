"""The reference decoder: decodes one record at a time. The bulk decoder gives the same result for every input.

A record decodes if it is one JSON object (RFC 8259) in UTF-8 with
- `event_id`: a UUID in text form (8-4-4-4-12 hex digits; upper case is accepted and stored in lower case),
- `event_type`: a type that the topic carries; it may be missing or null on a topic with one event type, which then applies,
- `played_at`: a timestamp (see `timestamps.parse_timestamp`) from 2000-01-01 to one day after the record's own time in the log,
- every other field of the contract null or of its type: an integer is digits only (neither 1.0 nor 1e3) and fits in 64 bits.

Where JSON leaves room, these are rejected: a duplicate field (the intended value is unknown), NaN, Infinity, half a surrogate pair, a byte
order mark, anything but white space around the object, and more than MAX_DEPTH levels. These are accepted: white space and line breaks
around and between values, and U+0000 as an escape. Texts are kept untrimmed and at any length. A field that the contract does not know may
hold any JSON, including numbers of any size and duplicate fields inside it; it is kept as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
import orjson

from soundlake.contract.foreign_formats import recognise_bytes, recognise_envelope, recognise_time
from soundlake.contract.record import EVENT_TYPES, FIELD_BY_NAME
from soundlake.contract.refused_rows import read_refused_row
from soundlake.contract.timestamps import format_timestamp, parse_timestamp
from soundlake.contract.topics import Topic
from soundlake.contract.unknown_fields import KNOWN_FIELDS, MAX_DEPTH, DuplicateField, Members, extract_unknown_fields, read_members

EARLIEST_PLAYED_AT = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds."""
PLAYED_AT_LEAD = 86_400_000_000
"""How far `played_at` may be ahead of the record's time in the log, in microseconds: one day."""

REJECTION_REASONS = (
    "null_value", "not_utf8", "not_json", "too_deep", "not_an_object", "duplicate_field", "missing_event_id", "bad_event_id",
    "missing_event_type", "unknown_event_type", "wrong_topic", "missing_played_at", "bad_played_at", "played_at_out_of_range", "wrong_type",
)  # fmt: skip
"""Why the decoder rejects a record, in the order of the checks. Importers have further reasons (see `refused_rows`)."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_INTEGER = re.compile(rb"-?[0-9]{1,19}")
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Rejection:
    """Why a record is not an event: a reason from a fixed list, what was found, and its event_id if it has a valid one."""

    reason: str
    detail: str
    event_id: str | None = None


Values = dict[str, str | int | bool | None]
"""The fields of one event; timestamps in microseconds since 1970."""


class _WrongType(ValueError):
    """The value of a field is not of its kind."""


def decode_record(topic: Topic, value: bytes | None, timestamp_ms: int) -> Values | Rejection:
    """Decode one record of the topic into its event or the reason for its rejection; `timestamp_ms` is the record's own time in the log."""
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
    return _decode_fields(topic, members, timestamp_ms)


def _read_object(value: bytes) -> Members | Rejection:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Rejection("not_utf8", recognise_bytes(value) or f"byte {error.start} is not the start of a UTF-8 character")
    try:
        return read_members(value)
    except RecursionError:
        return Rejection("too_deep", f"objects and arrays nest deeper than {MAX_DEPTH} levels")
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError) and _is_json(value):
            return Rejection("not_an_object", _shorten(value))
        return Rejection("not_json", recognise_bytes(value) or str(error).removeprefix("JSON is malformed: "))


def _decode_fields(topic: Topic, members: Members, timestamp_ms: int) -> Values | Rejection:
    event_id = _peek_event_id(members)
    if event_id is None:
        if _is_missing(members, "event_id"):
            envelope = recognise_envelope(members)
            return Rejection("missing_event_id", f"event_id is missing; {envelope}" if envelope else "event_id is missing")
        return Rejection("bad_event_id", _show(members, "event_id"))
    values: Values = {}
    wrong: list[str] = []
    for name in sorted(KNOWN_FIELDS & members.keys()):
        try:
            values[name] = _read_value(FIELD_BY_NAME[name].kind, bytes(members[name]))
        except _WrongType:
            wrong.append(name)
    if _is_missing(members, "event_type"):
        values["event_type"] = topic.default_event_type
    problem = _find_problem(topic, members, values, timestamp_ms)
    if problem is None and wrong:
        kind = FIELD_BY_NAME[wrong[0]].kind
        found = _show_time(members, wrong[0]) if kind == "timestamp" else _show(members, wrong[0])
        problem = "wrong_type", f"{wrong[0]} ({kind}): {found}"
    return Rejection(*problem, event_id) if problem else values | {"event_id": event_id, "extra": extract_unknown_fields(members)}


def _find_problem(topic: Topic, members: Members, values: Values, timestamp_ms: int) -> tuple[str, str] | None:
    return _find_problem_of_type(topic, members, values) or _find_problem_of_time(members, values, timestamp_ms)


def _find_problem_of_type(topic: Topic, members: Members, values: Values) -> tuple[str, str] | None:
    event_type = values.get("event_type")
    if event_type is None and _is_missing(members, "event_type"):
        return "missing_event_type", f"event_type is missing: {topic.name} carries {', '.join(topic.event_types)}"
    if event_type not in EVENT_TYPES:
        return "unknown_event_type", _show(members, "event_type")
    return None if event_type in topic.event_types else ("wrong_topic", f"{topic.name} does not carry events of type {event_type}")


def _find_problem_of_time(members: Members, values: Values, timestamp_ms: int) -> tuple[str, str] | None:
    played_at = values.get("played_at")
    if _is_missing(members, "played_at"):
        return "missing_played_at", "played_at is missing"
    if not isinstance(played_at, int):
        return "bad_played_at", _show_time(members, "played_at")
    logged_at = timestamp_ms * 1_000
    if EARLIEST_PLAYED_AT <= played_at <= logged_at + PLAYED_AT_LEAD:
        return None
    logged = format_timestamp(logged_at)
    limit = f"the earliest is {format_timestamp(EARLIEST_PLAYED_AT)}; the record's time is {logged}"
    if played_at >= EARLIEST_PLAYED_AT:
        limit = f"the latest is {format_timestamp(logged_at + PLAYED_AT_LEAD)}, the record's time ({logged}) plus one day"
    return "played_at_out_of_range", f"{_show(members, 'played_at')}: {limit}"


def _read_value(kind: str, raw: bytes) -> str | int | bool | None:
    """Read the value of a field of that kind. Raises _WrongType."""
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


def _is_missing(members: Members, name: str) -> bool:
    return name not in members or bytes(members[name]) == b"null"


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
    return _shorten(bytes(members[name]))


def _show_time(members: Members, name: str) -> str:
    shape = recognise_time(bytes(members[name]))
    return f"{_show(members, name)} is {shape}" if shape else _show(members, name)


def _shorten(raw: bytes) -> str:
    text = raw.decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
