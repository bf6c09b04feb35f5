"""Lines encoded column by column equal those of Python's encoder row by row."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundlake.contract import EVENT_SCHEMA, encode_events
from soundlake.contract.encode import encode_blocks
from soundlake.contract.unknown_fields import _is_in_normal_form, _normalize

TEXTS = st.one_of(
    st.sampled_from(["", "a", 'say "x"', "back\\slash", "tab\there", "\x00", "\x1f\x7f", "שלום", "🌙", ',"a":null}']), st.text(max_size=5)
)
TIMESTAMPS = st.datetimes(timezones=st.just(UTC))
VALUES = {
    "string": TEXTS,
    "int64": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "timestamp[us, tz=UTC]": TIMESTAMPS,
}


@st.composite
def tables(draw) -> pa.Table:
    fields = draw(st.lists(st.sampled_from([field for field in EVENT_SCHEMA if field.name != "extra"]), unique=True, max_size=8))
    rows = draw(st.integers(0, 12))
    columns = []
    for field in fields:
        few = draw(st.lists(st.none() | VALUES[str(field.type)], min_size=1, max_size=3))
        column = pa.array([draw(st.sampled_from(few)) for _ in range(rows)], field.type)
        columns.append(column.dictionary_encode() if pa.types.is_string(field.type) and draw(st.booleans()) else column)
    table = pa.table(columns, names=[field.name for field in fields])
    return table.slice(draw(st.integers(0, 3)), draw(st.integers(0, 12)))


def write_row(row: dict, *, has_micros: set[str]) -> bytes:
    """The line as Python's own encoder writes it."""

    def write(name, value):
        if isinstance(value, datetime):
            digits = "microseconds" if name in has_micros else "milliseconds"
            return value.replace(tzinfo=None).isoformat(timespec=digits) + "Z"
        return value

    filled = {name: write(name, value) for name, value in row.items() if value is not None}
    return json.dumps(filled, ensure_ascii=False, separators=(",", ":")).encode()


@given(tables())
def test_lines_are_those_of_pythons_encoder(table):
    rows = table.to_pylist()
    has_micros = {name for row in rows for name, value in row.items() if isinstance(value, datetime) and value.microsecond % 1_000}
    assert encode_events(table) == [write_row(row, has_micros=has_micros) for row in rows]


@pytest.fixture
def many() -> pa.Table:
    """More rows than one block holds, with repeated tracks."""
    rows = 150_000
    return pa.table(
        {
            "event_id": [f"id {number}" for number in range(rows)],
            "track_id": pa.array([f"t{number % 700}" for number in range(rows)]).dictionary_encode(),
            "track_name": pa.array([f'"{number % 700}"' for number in range(rows)]).dictionary_encode(),
            "duration_ms": [number % 700 or None for number in range(rows)],
            "extra": ['{"experiment":7}' if number % 40_000 == 1 else None for number in range(rows)],
        }
    )


def test_blocks_hold_the_lines_of_all_rows_in_order(many):
    written = b"".join(block.to_pybytes() for block in encode_blocks(many))
    assert written == b"\n".join(encode_events(many)) + b"\n"
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["event_id"] for line in lines] == many["event_id"].to_pylist()
    assert all(line["track_name"] == f'"{line["track_id"][1:]}"' for line in lines)
    assert [line.get("duration_ms") for line in lines] == many["duration_ms"].to_pylist()
    assert sum("experiment" in line for line in lines) == 4


def test_dictionary_encoded_texts_are_written_like_others(many):
    plain = many.cast(pa.schema([EVENT_SCHEMA.field(name) for name in many.column_names]))
    assert encode_events(plain) == encode_events(many)


def test_a_column_that_is_not_a_field_is_an_error():
    with pytest.raises(ValueError, match="not fields of an event: mood"):
        encode_events(pa.table({"mood": ["fine"]}))


def test_rows_without_any_value_are_empty_objects():
    assert encode_events(pa.table({"user_id": pa.array([None, "u", None], pa.string())})) == [b"{}", b'{"user_id":"u"}', b"{}"]


@pytest.mark.parametrize(
    ("extra", "members"),
    [
        ('{"new":1}', {"new": 1}),
        ('{"extra":"{}"}', {"extra": "{}"}),
        ("{}", {"extra": "{}"}),
        ("[1]", {"extra": "[1]"}),
        ("no JSON", {"extra": "no JSON"}),
        ('{"user_id":"z"}', {"extra": '{"user_id":"z"}'}),
        ('{"new":1,"new":2}', {"extra": '{"new":1,"new":2}'}),
        ('{"new":' + "[" * 100 + "]" * 100 + "}", {"extra": '{"new":' + "[" * 100 + "]" * 100 + "}"}),
        ('{"new":' + "[" * 300 + "]" * 300 + "}", {"extra": '{"new":' + "[" * 300 + "]" * 300 + "}"}),
    ],
    ids=["unknown fields", "a field named extra", "empty", "a list", "text", "a known field", "a duplicate", "too deep", "far too deep"],
)
@pytest.mark.parametrize("user_id", ["u", None], ids=["with fields", "alone"])
def test_unknown_fields_become_members_again_and_any_other_extra_a_text(extra, members, user_id):
    known = {"user_id": user_id} if user_id else {}
    (line,) = encode_events(pa.table({"user_id": pa.array([user_id], pa.string()), "extra": [extra]}))
    assert json.loads(line) == known | members
    assert json.loads(line, object_pairs_hook=len) == len(known) + len(members)


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.one_of(TEXTS, st.just("user_id")), inner, max_size=3)),
    max_leaves=6,
)


@given(JSON_VALUES, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]), st.sampled_from(["", "a", "a:1"]))
def test_an_extra_that_is_taken_as_it_is_would_be_written_the_same(value, is_ascii, separators, twice):
    extra = json.dumps(value, ensure_ascii=is_ascii, separators=separators)
    if twice and extra.startswith("{"):
        extra = f'{{"{twice}":1,"{twice}":2,' + extra[1:]
    if _is_in_normal_form(extra.encode()):
        assert _normalize(extra) == extra
    else:
        assert json.loads(_normalize(extra)) is not None


def test_the_usual_extra_is_in_normal_form():
    assert _is_in_normal_form('{"artist_mbids":["a"],"additional_info":{"media_player":"Öde"}}'.encode())
