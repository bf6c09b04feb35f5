"""What a record must hold to be an event, case by case: the value that is read, or the reason of its rejection."""

import json

import pytest

from soundlake.contract import DLQ_TOPIC, HISTORY, REJECTION_REASONS, TOPICS, Rejection, decode_record
from soundlake.contract.topics import DLQ, PLAYS

NOW_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z
EVENT_ID = "0b0d0bff-2d0e-4f5d-8a7e-0d9c3a4b5c6d"
EVENT = {"event_id": EVENT_ID, "event_type": "play", "user_id": "ana", "track_name": "Song", "played_at": "2026-11-17T10:00:00Z"}
PLAYED_AT = 1_794_909_600_000_000
FIRST_OF_THE_PLAN = {"event_id": EVENT_ID, "user_id": "ana", "track_name": "Song", "played_at": "2026-11-17T10:00:00Z"}


def write(**fields: object) -> bytes:
    """A good play with these fields; one that is `...` is left out."""
    return json.dumps({name: value for name, value in (EVENT | fields).items() if value is not ...}).encode()


def decode(value: bytes | None, topic=PLAYS):
    return decode_record(topic, value, NOW_MS)


def test_an_event_has_its_values_by_field_and_extra_for_unknown_fields():
    value = write(event_id=EVENT_ID.upper(), duration_ms=-5, is_skipped=False, country=None, mood="fine")
    assert decode(value) == {
        "event_id": EVENT_ID, "event_type": "play", "user_id": "ana", "track_name": "Song", "played_at": PLAYED_AT, "duration_ms": -5,
        "is_skipped": False, "country": None, "extra": '{"mood":"fine"}',
    }  # fmt: skip


@pytest.mark.parametrize("missing", [{}, {"event_type": None}], ids=["absent", "null"])
@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic is not HISTORY], ids=lambda topic: topic.name)
def test_an_event_without_a_type_has_that_of_its_topic(topic, missing):
    value = json.dumps(FIRST_OF_THE_PLAN | missing).encode()
    (event_type,) = topic.event_types
    expected = {
        "event_type": event_type,
        "extra": None,
        "event_id": EVENT_ID,
        "user_id": "ana",
        "track_name": "Song",
        "played_at": PLAYED_AT,
    }
    assert decode(value, topic) == expected


def test_an_event_without_a_type_is_rejected_where_the_topic_carries_several():
    assert decode(json.dumps(FIRST_OF_THE_PLAN).encode(), HISTORY) == Rejection(
        "missing_event_type", "event_type is missing: user_history carries play, skip, like, playlist, now_playing", EVENT_ID
    )
    assert (HISTORY.default_event_type, DLQ.default_event_type, PLAYS.default_event_type) == (None, None, "play")
    assert DLQ.name == DLQ_TOPIC


NUMBERS = {
    b"0": 0, b"-0": 0, b"7": 7, b"-7": -7, b"9223372036854775807": 2**63 - 1, b"-9223372036854775808": -(2**63), b"null": None,
}  # fmt: skip
NO_NUMBERS = [
    b"1.0", b"0.5", b"1e3", b"1E3", b"1e-3", b"9223372036854775808", b"-9223372036854775809", b"99999999999999999999", b'"1"', b"true",
    b"[1]", b"{}",
]  # fmt: skip


@pytest.mark.parametrize(("written", "number"), NUMBERS.items(), ids=str)
def test_an_integer_is_digits_only_and_fits_in_64_bits(written, number):
    event = decode(write()[:-1] + b',"duration_ms":' + written + b"}")
    assert (event["duration_ms"], type(event["duration_ms"])) == (number, type(number))


@pytest.mark.parametrize("written", NO_NUMBERS, ids=lambda value: value.decode())
def test_another_number_or_value_is_of_the_wrong_type(written):
    found = decode(write()[:-1] + b',"duration_ms":' + written + b"}")
    assert found == Rejection("wrong_type", f"duration_ms (integer): {written.decode()}", EVENT_ID)


@pytest.mark.parametrize(
    "written", [b"01", b"+1", b"1.", b".5", b"-", b"NaN", b"Infinity", b"0x1", b"1_000"], ids=lambda value: value.decode()
)
def test_a_number_that_json_does_not_know_is_not_json(written):
    assert decode(write()[:-1] + b',"duration_ms":' + written + b"}").reason == "not_json"


@pytest.mark.parametrize("space", [b" ", b"\t", b"\r", b"\n"], ids=["space", "tab", "return", "line feed"])
def test_a_field_is_found_twice_whatever_stands_before_its_colon(space):
    found = decode(write()[:-1] + b',"user_id"' + space + b':"z"}')
    assert found == Rejection("duplicate_field", "user_id: more than once in one object", EVENT_ID)


REJECTED = {
    "null_value": ("null_value", None, "the record has no value", None),
    "empty": ("not_json", b"", None, None),
    "half an object": ("not_json", b'{"event_id":', None, None),
    "no_utf8": ("not_utf8", b"{\xff}", "byte 1 is not the start of a UTF-8 character", None),
    "list": ("not_an_object", b"[1]", "[1]", None),
    "text": ("not_an_object", b'"x"', '"x"', None),
    "deep": ("too_deep", b'{"x":' + b"[" * 100 + b"]" * 100 + b"}", "objects and arrays nest deeper than 100 levels", None),
    "twice": ("duplicate_field", write()[:-1] + b',"user_id":"z"}', "user_id: more than once in one object", EVENT_ID),
    "id twice": ("duplicate_field", write()[:-1] + b',"event_id":"z"}', "event_id: more than once in one object", None),
    "no id": ("missing_event_id", write(event_id=...), "event_id is missing", None),
    "null id": ("missing_event_id", write(event_id=None), "event_id is missing", None),
    "empty id": ("bad_event_id", write(event_id=""), '""', None),
    "number as id": ("bad_event_id", write(event_id=1), "1", None),
    "id with a letter too many": ("bad_event_id", write(event_id=EVENT_ID + "0"), f'"{EVENT_ID}0"', None),
    "id of no hex digits": ("bad_event_id", write(event_id="g" + EVENT_ID[1:]), f'"g{EVENT_ID[1:]}"', None),
    "long id": ("bad_event_id", write(event_id="x" * 100), '"' + "x" * 79 + "…", None),
    "id of 80 characters in all": ("bad_event_id", write(event_id="x" * 78), '"' + "x" * 78 + '"', None),
    "unknown type": ("unknown_event_type", write(event_type="listen"), '"listen"', EVENT_ID),
    "empty type": ("unknown_event_type", write(event_type=""), '""', EVENT_ID),
    "number as type": ("unknown_event_type", write(event_type=1), "1", EVENT_ID),
    "other type": ("wrong_topic", write(event_type="skip"), "user_plays does not carry events of type skip", EVENT_ID),
    "no time": ("missing_played_at", write(played_at=...), "played_at is missing", EVENT_ID),
    "null time": ("missing_played_at", write(played_at=None), "played_at is missing", EVENT_ID),
    "no timestamp": ("bad_played_at", write(played_at="soon"), '"soon"', EVENT_ID),
    "number as time": (
        "bad_played_at", write(played_at=1_795_000_000),
        '1795000000 is a number, as seconds since 1970 it is "2026-11-18T11:06:40Z": write that text', EVENT_ID,
    ),
    "second 60": ("bad_played_at", write(played_at="2026-11-17T10:00:60Z"), '"2026-11-17T10:00:60Z"', EVENT_ID),
    "too early": (
        "played_at_out_of_range", write(played_at="1999-12-31T23:59:59.999999Z"),
        '"1999-12-31T23:59:59.999999Z": the earliest is 2000-01-01T00:00:00Z; the record\'s time is 2026-11-18T11:06:40Z', EVENT_ID,
    ),
    "too late": (
        "played_at_out_of_range", write(played_at="2026-11-19T11:06:41Z"),
        '"2026-11-19T11:06:41Z": the latest is 2026-11-19T11:06:40Z, the record\'s time (2026-11-18T11:06:40Z) plus one day', EVENT_ID,
    ),
    "number as text": ("wrong_type", write(user_id=1), "user_id (text): 1", EVENT_ID),
    "text as boolean": ("wrong_type", write(is_skipped="true"), 'is_skipped (boolean): "true"', EVENT_ID),
    "no timestamp in another field": ("wrong_type", write(produced_at="soon"), 'produced_at (timestamp): "soon"', EVENT_ID),
    "several wrong": ("wrong_type", write(duration_ms="x", country=2), "country (text): 2", EVENT_ID),
}  # fmt: skip


@pytest.mark.parametrize("case", REJECTED)
def test_a_record_is_rejected_with_a_reason_and_what_was_found(case):
    reason, value, detail, event_id = REJECTED[case]
    found = decode(value)
    assert (found.reason, found.event_id) == (reason, event_id)
    assert detail is None or found.detail == detail


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**62), 2**62])
def test_a_record_with_any_time_in_the_log_is_rejected_without_an_error(timestamp_ms):
    found = decode_record(PLAYS, write(played_at="1999-12-31T23:59:59Z"), timestamp_ms)
    assert found.reason == "played_at_out_of_range"
    assert "the record's time is " in found.detail
    assert ("1969-12-31T23:59:59.999000Z" in found.detail) == (timestamp_ms == -1)
    assert ("µs since 1970" in found.detail) == (timestamp_ms != -1)


def test_every_reason_of_the_decoder_has_a_case():
    assert {reason for reason, *_ in REJECTED.values()} | {"missing_event_type"} == set(REJECTION_REASONS)


@pytest.mark.parametrize("played_at", ["2000-01-01T00:00:00Z", "2026-11-19T11:06:40Z", "2026-11-17T10:00:00+02:00"])
def test_the_first_and_the_last_allowed_time_are_accepted(played_at):
    assert not isinstance(decode(write(played_at=played_at)), Rejection)


@pytest.mark.parametrize("depth", [98, 99])
def test_an_unknown_field_may_nest_up_to_the_limit(depth):
    nested = "[" * depth + "]" * depth
    assert decode(write()[:-1] + f',"x":{nested}}}'.encode())["extra"] == f'{{"x":{nested}}}'


def test_white_space_between_values_is_accepted_and_texts_are_kept_as_they_are():
    event = decode(b" \n" + write(track_name=" a\u0000 ").replace(b'": ', b'"\t:\n') + b"\t\r\n")
    assert (event["track_name"], event["played_at"]) == (" a\u0000 ", PLAYED_AT)
