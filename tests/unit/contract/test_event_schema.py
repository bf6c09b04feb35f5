"""docs/event.schema.json and the decoder accept the same records; the few things that a JSON Schema cannot say are named in it."""

import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from soundlake.contract import FIELD_BY_NAME, FIELDS, HISTORY, Rejection, decode_record
from soundlake.contract.schemas import build_json_schema
from soundlake.contract.timestamps import parse_timestamp

NOW_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
VALIDATOR = Draft202012Validator(build_json_schema())
GOOD = {"event_id": str(UUID(int=7)), "event_type": "play", "played_at": "2025-02-28T23:59:59Z"}

times = st.one_of(
    st.from_regex(
        re.compile(
            r"(?:0000|0001|1999|2000|20[0-2][0-9]|2100|9999)-[01][0-9]-[0-3][0-9][Tt _][0-2][0-9]:[0-6][0-9]:[0-6][0-9](?:\.[0-9]{1,10})?"
            r"(?:Z|z|[+-][0-3][0-9]:[0-7][0-9]|)", re.ASCII), fullmatch=True,
    ),
    st.integers(946_600_000, NOW_MS // 1000 + 90_000).map(lambda second: datetime.fromtimestamp(second, UTC).isoformat()),
    st.sampled_from(["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
                     "2025-01-01T00:00:00Z\n", "2025-01-01T24:00:00Z", "2025-01-01T23:59:60Z", "2025-01-01",
                     "2025-04-31T00:00:00Z", "٢٠٢٥-01-01T00:00:00Z"]),
)  # fmt: skip
ids = st.one_of(
    st.uuids().map(str), st.uuids().map(lambda uuid: str(uuid).upper()), st.uuids().map(lambda uuid: uuid.hex),
    st.uuids().map(lambda uuid: f"{{{uuid}}}"), st.uuids().map(lambda uuid: f"{uuid}\n"), st.text(max_size=40),
)  # fmt: skip
integers = st.one_of(st.integers(-(2**63) - 1, 2**63), st.sampled_from([-(2**63) - 1, -(2**63), 2**63 - 1, 2**63, 10**30]))
anything = st.one_of(
    st.none(), st.booleans(), integers, st.text(max_size=5), times, st.floats(allow_nan=False).filter(lambda number: number % 1 != 0),
    st.lists(st.none(), max_size=1), st.dictionaries(st.text(max_size=2), st.none(), max_size=1), st.sampled_from(["play", "PLAY", "sing"]),
)  # fmt: skip
OF_KIND = {"text": st.text(max_size=8), "integer": integers, "boolean": st.booleans(), "timestamp": times, "json": anything}


def make_value(field):
    value = {"event_id": ids, "event_type": st.sampled_from([*field.values, "sing"])}.get(field.name, OF_KIND[field.kind])
    return st.one_of(value, value, anything)


fields = st.sampled_from([*(field.name for field in FIELDS), *GOOD, "unknown"])
changes = fields.flatmap(lambda name: st.tuples(st.just(name), make_value(FIELD_BY_NAME[name]) if name in FIELD_BY_NAME else anything))
events = st.lists(changes, max_size=3).map(lambda changed: GOOD | dict(changed))


def says_what_the_schema_cannot(event) -> bool:
    """The limits in the comment of the schema that a generated event can break."""
    played_at = parse_timestamp(event["played_at"])
    produced_at = event.get("produced_at")
    return (
        event.get("event_type") is not None
        and played_at is not None
        and 946_684_800_000_000 <= played_at <= (NOW_MS + 86_400_000) * 1000
        and (produced_at is None or parse_timestamp(produced_at) is not None)
    )


@settings(max_examples=150, deadline=None)
@given(events)
def test_the_schema_and_the_decoder_agree(event):
    decodes = not isinstance(decode_record(HISTORY, json.dumps(event).encode(), NOW_MS), Rejection)
    if VALIDATOR.is_valid(event):
        assert decodes == says_what_the_schema_cannot(event)
    else:
        assert not decodes


@pytest.mark.parametrize(
    "change",
    [{"event_id": UUID(int=1).hex}, {"played_at": "2025-02-29T00:00:00Z"}, {"played_at": "2025-01-01T00:00:00"}, {"duration_ms": "1"},
     {"duration_ms": 2**63}, {"event_type": "sing"}, {"is_shuffle": 1}, {"played_at": None}],
    ids=str,
)  # fmt: skip
def test_the_schema_refuses_what_the_decoder_refuses(change):
    assert not VALIDATOR.is_valid(GOOD | change)
    assert isinstance(decode_record(HISTORY, json.dumps(GOOD | change).encode(), NOW_MS), Rejection)


def test_the_schema_accepts_a_good_event():
    assert VALIDATOR.is_valid(GOOD)
    assert not isinstance(decode_record(HISTORY, json.dumps(GOOD).encode(), NOW_MS), Rejection)
