"""The bulk decoder and the reference decoder give the same result for every input, and every result is in its row."""

import json
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soundlake.contract import EVENT_SCHEMA, FIELDS, HISTORY, Rejection, decode_record, decode_records, encode_events, wrap_refused_row
from soundlake.contract.decode import _are_uuids
from soundlake.contract.json_parser import Parser, _cut_run
from soundlake.contract.topics import PLAYS

NOW_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z


def write_event(number: int, **fields: object) -> bytes:
    """A good play of that number with these fields; one that is `...` is left out."""
    event = {"event_id": str(UUID(int=number)), "event_type": "play", "played_at": "2026-11-17T10:00:00Z", "track_name": f"title {number}"}
    fields = {name: value for name, value in (event | fields).items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def decode_one_by_one(topic, values):
    return [decode_record(topic, value, NOW_MS) for value in values]


def decode_in_bulk(topic, values):
    """What the bulk decoder gives, in the form of the reference decoder, one for each value."""
    decoded = decode_records(topic, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64()))
    events = decoded.events
    assert events.schema == EVENT_SCHEMA
    for place, column in enumerate(EVENT_SCHEMA):
        if pa.types.is_timestamp(column.type):
            events = events.set_column(place, column.name, events[column.name].cast(pa.int64()))
    results = dict(zip(decoded.event_rows.tolist(), events.to_pylist(), strict=True))
    for line in decoded.rejected.to_pylist():
        assert line["row"] not in results
        results[line["row"]] = Rejection(line["reason"], line["detail"], line["event_id"])
    assert decoded.event_rows.tolist() == sorted(decoded.event_rows.tolist())
    assert decoded.rejected["row"].to_pylist() == sorted(decoded.rejected["row"].to_pylist())
    assert sorted(results) == list(range(len(values)))
    return [results[row] for row in range(len(values))]


def fill(result):
    """An event with all its fields, as a table has them."""
    return result if isinstance(result, Rejection) else {field.name: result.get(field.name) for field in FIELDS}


GOOD = write_event(7)
HEAD = GOOD[:-1]
IRREGULAR_VALUES = [
    None, b"", b" ", b"{}", b"[]", b"null", b"1", b'"x"', b"{", b"}", b"{}{}", b"nope", b"\x00", b"\xff", b'{"a":{}',
    GOOD + b" ", b"\n" + GOOD, b"\xef\xbb\xbf" + GOOD, GOOD + GOOD, GOOD + b" " + GOOD, GOOD + b"\n" + GOOD, GOOD + b"\x00}", GOOD + b"}",
    GOOD + b",", b"[" + GOOD + b"]", GOOD[:-5], HEAD + b"\x00}", HEAD + b"\n}", HEAD + b"\r\n}", HEAD + b"\t}", HEAD + b",}", HEAD + b",,}",
    GOOD.replace(b"title", b"ti\ntle"), GOOD.replace(b"title", b"ti\ttle"), GOOD.replace(b"title", b"ti\x00tle"),
    GOOD.replace(b"title", b"ti\\u0000tle"), GOOD.replace(b"title", b"\\ud83d\\ude00"), GOOD.replace(b"title", b"\\ud83dx"),
    GOOD.replace(b"title", b"\\ude00"), GOOD.replace(b"title", b"\\ud83d"), GOOD.replace(b"title", b"\xed\xa0\x80"),
    GOOD.replace(b"title", b"\xc0\xaf"), GOOD.replace(b"title", b"\xf4\x90\x80\x80"), GOOD.replace(b"title", b"\\x"),
    GOOD.replace(b"title", b"\\/\\b\\f\\n\\u00E9"), GOOD.replace(b'"track_name"', b'"track\\u005fname"'),
    GOOD.replace(b"title", b"x" * 70_000),
    GOOD.replace(b"title", b' \\" : '), GOOD.replace(b'":', b'" :'), GOOD.replace(b'":', b'": '), GOOD.replace(b",", b" , "),
    *(HEAD + b',"duration_ms":' + number + b"}" for number in (
        b"1", b"-0", b"0", b"1.0", b"1e3", b"01", b"+1", b"-", b"1.", b".5", b"NaN", b"Infinity", b"-Infinity", b"9223372036854775807",
        b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
        b"1" * 5_000, b'"1"', b"true", b"null", b"[]", b"{}", b"nul")),
    *(HEAD + b',"is_skipped":' + flag + b"}" for flag in (b"true", b"false", b"True", b"1", b'"true"', b"null")),
    *(HEAD + b',"user_id":' + text + b"}" for text in (b"1", b'""', b'" x "', b"true", b"null", b'{"a":1}', b'["a"]', b"'x'",
    b'"\\u12g4"')),
    *(HEAD + b',"x":' + unknown + b"}" for unknown in (
        b"1.10", b"1e400", b"1E+2", b"123456789012345678901234567890", b"NaN", b"-", b"tru", b"[1, 2]", b"[1,]", b'{"a":1,"a":2}',
        b'"\\ud800"',
        b'{"event_id":1}', b'"caf\\u00e9 \\/"', b"null", b'" "', b"[" * 98 + b"]" * 98, b"[" * 99 + b"]" * 99, b"[" * 100 + b"]" * 100,
        b"[" * 10_000 + b"]" * 10_000, b"[" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b'"' + b"[" * 300 + b'"', b'"\xff"')),
    HEAD + b',"x":1,"x":2}', HEAD + b',"x":1,"y" :2,"y":3}', HEAD + b',"x":{"a":1},"y":[{}],"":0}', HEAD + b',"extra":"{}"}',
    HEAD + b',"user_id":null,"user_id":"u"}', HEAD + b',"user_id":"u","user\\u005fid":"u"}', HEAD + b',"USER_ID":"u"}',
    HEAD + b',"event_id":"00000000-0000-0000-0000-000000000008"}', HEAD + b',"x":"\\":","x":1}', b'{"_refused":1}', b'{"_refused":{}}',
    b'{"_refused":{"reason":"Not A Word","row":"","source":"s","user_id":"u"}}', wrap_refused_row("names_nothing", "spotify_export", "u",
    {"a": 1}),
]  # fmt: skip
EVENT_IDS = ["", "x", "00000000000000000000000000000001", "{00000000-0000-0000-0000-000000000001}", "ABCDEF00-0000-4000-8000-00000000000a",
    "00000000-0000-0000-0000-00000000000g", "00000000-0000-0000-0000-0000000000011", " 0000000-0000-0000-0000-000000000001", "é" * 18,
    1, None, True]  # fmt: skip
TIMESTAMPS = [
    "2026-11-17T10:00:00Z", "2026-11-17T10:00:00.1Z", "2026-11-17T10:00:00.123Z", "2026-11-17T10:00:00.123456Z",
    "2026-11-17T10:00:00.123456789Z",
    "2026-11-17T10:00:00.1234567890Z", "2026-11-17T10:00:00.Z", "2026-11-17t10:00:00z", "2026-11-17 10:00:00Z", "2026-11-17T10:00:00+02:00",
    "2026-11-17T10:00:00.5-23:59", "2026-11-17T10:00:00+24:00", "2026-11-17T10:00:00+0200", "2026-11-17T10:00:00", "2026-11-17T10:00Z",
    "2026-11-17", "20261117T100000Z", "2026-11-17T24:00:00Z", "2026-11-17T23:59:60Z", "2026-02-29T10:00:00Z", "2024-02-29T10:00:00Z",
    "2026-13-01T10:00:00Z", "2026-00-10T10:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59Z",
    "2000-01-01T00:00:00Z", "1999-12-31T23:59:59.999Z", "2026-11-19T11:06:40Z", "2026-11-19T11:06:40.000001Z", "2026-11-19T11:06:41.000Z",
    "٢٠٢٦-11-17T10:00:00Z", "2026-11-17T10:00:00Z ", "x" * 20, "x" * 24, "", 1_795_000_000, None, True, {"a": 1},
]  # fmt: skip
TYPES = ["play", "skip", "Play", "", "now_playing", "listen", None, 1, ...]

irregular_fields = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.sampled_from(EVENT_IDS),
        "event_type": st.sampled_from(TYPES),
        "played_at": st.sampled_from(TIMESTAMPS),
        "produced_at": st.sampled_from(TIMESTAMPS),
        "duration_ms": st.one_of(st.integers(-(2**65), 2**65), st.floats(), st.text(max_size=3), st.none()),
        "user_id": st.one_of(st.text(), st.none(), st.integers()),
        "extra": st.text(max_size=5),
        "new": st.recursive(st.none() | st.floats() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3), max_leaves=4),
    },
)
events = st.builds(lambda number, fields: write_event(number, **fields), st.integers(0, 2**128 - 1), irregular_fields)


@st.composite
def corrupted(draw):
    """A good event with a few bytes inserted, removed or replaced."""
    value = bytearray(draw(events))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(value)))
        value[place : place + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", *(bytes([mark]) for mark in b'{}[]",:\\ \n\r\t\0e1-.u\xff\xc3')])
        )
    return bytes(value)


records = st.one_of(st.sampled_from(IRREGULAR_VALUES), events, corrupted(), st.binary(max_size=8))


@settings(max_examples=50, deadline=None)
@given(st.lists(records, max_size=8))
@example([])
@example(IRREGULAR_VALUES)
def test_both_decoders_agree_on_few_records(values):
    assert decode_in_bulk(PLAYS, values) == [fill(result) for result in decode_one_by_one(PLAYS, values)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), records), max_size=6), st.sampled_from([PLAYS, HISTORY]))
def test_irregular_records_among_good_ones_affect_no_other_record(irregular, topic):
    values = [write_event(number) for number in range(80)]
    for place, value in irregular:
        values.insert(place, value)
    assert decode_in_bulk(topic, values) == [fill(result) for result in decode_one_by_one(topic, values)]


@pytest.mark.parametrize("value", IRREGULAR_VALUES, ids=lambda value: repr(value)[-60:])
def test_an_irregular_record_gives_the_same_alone_and_between_others(value):
    between = [write_event(1), value, write_event(2)]
    assert decode_in_bulk(PLAYS, [value]) == [fill(decode_record(PLAYS, value, NOW_MS))]
    assert decode_in_bulk(PLAYS, between) == [fill(result) for result in decode_one_by_one(PLAYS, between)]


FIELD_VALUES = [
    *(("event_id", value) for value in EVENT_IDS), *(("played_at", value) for value in TIMESTAMPS),
    *(("produced_at", value) for value in TIMESTAMPS), *(("event_type", value) for value in TYPES),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), FIELD_VALUES, ids=lambda value: repr(value)[:40])
def test_each_value_of_a_field_gives_the_same_in_a_column_as_alone(name, value):
    values = [write_event(number, **({name: value} if number in (4, 5) else {})) for number in range(9)]
    assert decode_in_bulk(PLAYS, values) == [fill(result) for result in decode_one_by_one(PLAYS, values)]


def test_an_accepted_irregular_record_before_a_regular_one_keeps_its_row():
    values = [b" " + write_event(1), write_event(2)]
    assert [event["track_name"] for event in decode_in_bulk(PLAYS, values)] == ["title 1", "title 2"]


@pytest.mark.parametrize("unknown", [{}, {"new": 5}, {"new": [1]}, {"new": 5, "more": "x"}], ids=["known", "scalar", "nested", "two"])
def test_regular_events_never_go_to_the_reference_decoder(unknown, monkeypatch):
    monkeypatch.setattr("soundlake.contract.decode.decode_record", lambda *_: pytest.fail("decoded one by one"))
    values = [write_event(number << 90, produced_at="2026-11-17T10:00:00.123Z", is_skipped=False, **unknown) for number in range(10_000)]
    assert [event["event_id"] for event in decode_in_bulk(PLAYS, values)] == [str(UUID(int=number << 90)) for number in range(10_000)]


def test_ids_are_checked_in_a_slice_of_a_larger_column_too():
    ids = [str(UUID(int=number)) for number in range(4)]
    assert _are_uuids(pa.array(["x", *ids, None, ids[0].upper(), "é" * 18, ids[1][:-1] + "g"]).slice(1)).tolist() == [
        True, True, True, True, False, True, False, False,
    ]  # fmt: skip


def test_a_run_ends_after_its_rows_or_bytes_and_has_one_row_at_least():
    mebibyte = 1024 * 1024
    ends = np.arange(20) * mebibyte + 7
    assert [_cut_run(ends, start, 3) for start in (0, 5, 18)] == [3, 8, 19]
    assert [_cut_run(ends, start, 100) for start in (0, 5)] == [8, 13]
    assert _cut_run(np.array([0, 9 * mebibyte, 10 * mebibyte]), 0, 100) == 1


def test_the_share_of_irregular_records_is_measured_and_decays_with_regular_runs():
    values = [write_event(number, duration_ms="x" if number % 512 == 5 and number < 4096 else 1) for number in range(4096 + 3 * 1024)]
    parser = Parser(pa.array(values, pa.binary()))
    rows = [row for parsed in parser.parse() for row in parsed.rows.tolist()]
    assert parser.doubtful == [512 * number + 5 for number in range(8)]
    assert sorted(rows) == [row for row in range(len(values)) if row not in parser.doubtful]
    assert parser.irregular_share == pytest.approx(8 / 4096 * 0.9**3)


def test_a_slice_of_a_larger_array_decodes_like_the_same_values_alone():
    values = pa.array([b"nope", None, *(write_event(number) for number in range(50)), b"", write_event(99)], pa.binary()).slice(2, 51)
    times = pa.array([0, 0, *([NOW_MS] * 52)], pa.int64()).slice(2, 51)
    decoded = decode_records(PLAYS, values, times)
    assert decoded.events["track_name"].to_pylist() == [f"title {number}" for number in range(50)]
    assert decoded.rejected["row"].to_pylist() == [50]


@pytest.mark.parametrize("event_type", [..., None, "play"], ids=["absent", "null", "given"])
@pytest.mark.parametrize("others", [..., None, "play", "skip", 1], ids=["absent", "null", "given", "other", "number"])
@pytest.mark.parametrize("topic", [PLAYS, HISTORY], ids=lambda topic: topic.name)
def test_a_missing_type_is_that_of_a_topic_with_one_type(topic, event_type, others):
    values = [write_event(number, event_type=others if number in (3, 7) else event_type) for number in range(40)]
    assert decode_in_bulk(topic, values) == [fill(result) for result in decode_one_by_one(topic, values)]
    if topic is PLAYS and others not in ("skip", 1):
        assert [event["event_type"] for event in decode_in_bulk(topic, values)] == ["play"] * 40


@pytest.mark.parametrize("every", [13, 97, 499, 1_999])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b'{"event_id":',
        lambda value: value.replace(b'"title', b"1,"),
        lambda value: value[:-1] + b',"is_skipped":"no"}',
        lambda _: b"{}",
    ],
    ids=["half", "no_json", "wrong_type", "empty"],
)
def test_many_runs_keep_every_row_at_its_place(every, spoil):
    values = [write_event(number) if number % every else spoil(write_event(number)) for number in range(20_000)]
    decoded = decode_records(PLAYS, pa.array(values, pa.binary()), pa.array([NOW_MS] * len(values), pa.int64()))
    assert decoded.rejected["row"].to_pylist() == list(range(0, 20_000, every))
    assert decoded.events["track_name"].to_pylist() == [f"title {row}" for row in decoded.event_rows.tolist()]


SETS_OF_UNKNOWN_FIELDS = [
    {"new": 1}, {"new": -1.50}, {"new": True}, {"new": "x y"}, {"new": ""}, {"new": 'a"b'}, {"new": [1]}, {"new": {"a": 1}}, {"new": {}},
    {"new": None}, {}, {"more": "z"}, {"more": 2, "new": 1}, {"new": 1, "more": 2}, {"other": 1}, {"other": {"new": 1}},
    {"new": ',"new":1'}, {"track_name": ',"new":2,"'}, {"track_name": '" : "'}, {"track_name": '"new":3'}, {"user_id": None},
    {"new": 1, "user_id": None}, {"né": 1}, {"a(b": 1}, {"a|b": 1}, {"a\"b": 1},
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(SETS_OF_UNKNOWN_FIELDS), max_size=3), st.sampled_from([{"new": 5}, {"new": "v"}, {"new": 5, "more": True}]))
@example([{"new": {}}, {"other": 1}], {"new": 5})
@example([{"more": 2, "new": 1}], {"new": 5, "more": True})
@example([{"a(b": 1}], {"new": 5})
@example([{"né": 1}, {"a|b": 1}], {"new": 5})
def test_unknown_fields_are_kept_as_written_whatever_the_other_records_hold(others, usual):
    values = [write_event(number, **usual) for number in range(40)]
    values[7:7] = [write_event(100 + place, **fields) for place, fields in enumerate(others)]
    assert decode_in_bulk(PLAYS, values) == [fill(result) for result in decode_one_by_one(PLAYS, values)]


@pytest.mark.parametrize(
    "unusual", [b',"new":6,"new":7}', b',"new" :6}', b', "new": 6 }', b',"new":[6,7]}', b',"n":{"new":6}}', b',"country":null}']
)
def test_an_unusual_way_to_write_an_unknown_field_is_found_among_plain_ones(unusual):
    values = [write_event(number, new=number) for number in range(40)]
    values[20] = write_event(20)[:-1] + unusual
    assert decode_in_bulk(PLAYS, values) == [fill(result) for result in decode_one_by_one(PLAYS, values)]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
timestamps = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
kinds = {"text": texts, "integer": st.integers(-(2**63), 2**63 - 1), "boolean": st.booleans(), "timestamp": timestamps}
unknown_names = texts.filter(lambda name: name not in {field.name for field in FIELDS} or name == "extra")
unknown_values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
extras = st.dictionaries(unknown_names, unknown_values, min_size=1, max_size=3).map(
    lambda fields: json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
)
whole_events = st.fixed_dictionaries(
    {
        "event_id": st.uuids().map(str),
        "event_type": st.sampled_from(["play", "skip", "like", "playlist", "now_playing"]),
        "played_at": st.integers(946_684_800_000_000, NOW_MS * 1_000 + 86_400_000_000),
        "extra": st.none() | extras,
    }
    | {field.name: st.none() | kinds[field.kind] for field in FIELDS if not field.required and field.name != "extra"}
)


@settings(max_examples=25, deadline=None)
@given(st.lists(whole_events, max_size=12))
def test_encoded_events_decode_to_themselves(rows):
    table = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
    lines = encode_events(table)
    decoded = decode_records(HISTORY, pa.array(lines, pa.binary()), pa.array([NOW_MS] * len(rows), pa.int64()))
    assert decoded.rejected.to_pylist() == []
    assert decoded.events.to_pylist() == table.to_pylist()
    assert not any(b"\n" in line for line in lines)


@settings(max_examples=50, deadline=None)
@given(st.lists(whole_events, min_size=1, max_size=4), st.data())
def test_an_encoded_row_holds_its_own_fields_and_no_null(rows, data):
    names = data.draw(
        st.lists(st.sampled_from([field.name for field in FIELDS if field.kind != "timestamp" and field.name != "extra"]), unique=True)
    )
    lines = encode_events(pa.Table.from_pylist(rows, schema=EVENT_SCHEMA).select(names))
    assert [json.loads(line) for line in lines] == [{name: row[name] for name in names if row[name] is not None} for row in rows]
