"""The quality rules on single rows; the schemas and documents derived from the contract; ids; refused rows."""

import json
import re
from pathlib import Path
from uuid import UUID, uuid5

import duckdb
import pyarrow as pa
import pytest

from soundlake.contract import (
    BRONZE_FIELDS,
    BRONZE_SCHEMA,
    EVENT_SCHEMA,
    FIELDS,
    HISTORY,
    REJECTION_REASONS,
    RULES,
    Rejection,
    decode_record,
    list_rules,
    make_event_ids,
    wrap_refused_row,
)  # fmt: skip
from soundlake.contract.documents import build_documents, write_documents
from soundlake.contract.expressions import NORMAL_FORMS, TITLE_FIELDS
from soundlake.contract.ids import make_namespace
from soundlake.contract.schemas import build_dbt_columns, build_json_schema, build_spark_ddl

ROOT = Path(__file__).parents[3]
GOOD_PLAY = {"event_type": "play", "user_id": "u", "track_name": "t", "artist_name": "a", "duration_ms": 200_000, "ms_played": 0,
    "country": "DE", "device_type": "mobile", "source": "generator"}  # fmt: skip


def find_broken(row, severity=None):
    asked = [rule for rule in RULES if row["event_type"] in rule.event_types and severity in (None, rule.severity)]
    database = duckdb.connect()
    database.register("events", pa.Table.from_pylist([row], schema=EVENT_SCHEMA))
    (answers,) = database.execute(f"select {', '.join(rule.expression for rule in asked)} from events").fetchall()
    assert None not in answers
    return {rule.name for rule, answer in zip(asked, answers, strict=True) if not answer}


@pytest.mark.parametrize("event_type", ["play", "skip", "like", "playlist"])
def test_no_rule_is_null_even_if_all_fields_are_null(event_type):
    assert "user_known" in find_broken({"event_type": event_type})


def test_a_good_play_breaks_no_rule():
    assert find_broken(GOOD_PLAY) == set()


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"user_id": "  "}, {"user_known"}),
        ({"user_id": "\t\u00a0\u2028"}, {"user_known"}),
        ({"user_id": None}, {"user_known"}),
        ({"duration_ms": 0}, {"duration_positive"}),
        ({"ms_played": -1}, {"ms_played_not_negative"}),
        ({"track_name": "", "track_id": None}, {"track_named"}),
        ({"duration_ms": None}, {"duration_known"}),
        ({"duration_ms": 600_001}, {"ten_minutes_at_most"}),
        ({"ms_played": 200_001}, {"heard_within_track"}),
        ({"duration_ms": None, "ms_played": 86_400_001}, {"duration_known", "heard_within_a_day"}),
        ({"artist_name": None}, {"artist_named"}),
        ({"source": "spotify_export", "played_at_basis": "reported"}, {"export_start_known"}),
        ({"source": "lastfm", "played_at_basis": "reported"}, set()),
        ({"played_at": 2, "produced_at": 1}, {"produced_after_played"}),
        ({"device_type": "toaster"}, {"device_known"}),
        ({"country": "ZZ"}, {"country_is_a_code"}),
        ({"country": "de"}, {"country_is_a_code"}),
        ({"country": "ÄÖ"}, {"country_is_a_code"}),
        ({"source": "elsewhere"}, {"source_known"}),
        ({"content_type": "video"}, {"content_type_known"}),
        ({"played_at_basis": "guessed"}, {"played_at_basis_known"}),
        ({"event_type": "skip", "position_ms": -1}, {"position_not_negative", "skip_names_its_play"}),
        ({"event_type": "skip", "position_ms": 200_001, "source_ref": "x"}, {"position_within_track"}),
        ({"event_type": "like", "action": "love"}, {"like_action_known"}),
        ({"event_type": "like"}, set()),
        ({"event_type": "playlist", "action": "burn", "playlist_id": "p"}, {"playlist_action_known"}),
        ({"event_type": "playlist", "action": "add"}, {"playlist_named"}),
        ({"event_type": "playlist", "action": "add", "playlist_id": "p", "track_name": None}, {"playlist_track_named"}),
        ({"event_type": "playlist", "action": "create", "playlist_name": "p", "track_name": None}, set()),
    ],
    ids=lambda value: ",".join(sorted(value)) or "nothing" if isinstance(value, set) else str(value),
)
def test_a_row_breaks_the_rules_it_should(change, broken):
    assert find_broken(GOOD_PLAY | change) == broken


@pytest.mark.parametrize("named", [{"track_id": "id"}, {"track_name": " ", "artist_name": "a"}], ids=["id alone", "a blank title"])
def test_a_play_of_an_export_is_never_rejected(named):
    assert find_broken({"event_type": "play", "user_id": "u", "ms_played": 0, **named}, "reject") == set()


@pytest.mark.parametrize(
    ("text", "name", "device"),
    [
        (" Song  of two \r\n", "Song  of two", "song  of two"),
        ("\u00a0\u3000Song\u2028", "Song", "song"),
        ("\t \u2003", None, None),
        ("", None, None),
        (None, None, None),
        ("\u200bSong", "\u200bSong", "\u200bsong"),
        ("İ", "İ", "İ"),
        (" Smartphone\u00a0", "Smartphone", "mobile"),
        ("UNKNOWN", "UNKNOWN", None),
        ("tv", "tv", "tv"),
    ],
    ids=[
        "blanks",
        "wide blanks",
        "blanks alone",
        "nothing",
        "null",
        "zero width",
        "no plain letter",
        "Spotify's name",
        "unknown",
        "the contract's name",
    ],
)
def test_a_normal_form_applied_twice_changes_nothing(text, name, device):
    row = dict.fromkeys(NORMAL_FORMS, text)
    for _ in range(2):
        database = duckdb.connect()
        database.register("events", pa.Table.from_pylist([row], schema=EVENT_SCHEMA))
        (formed,) = database.execute(f"select {', '.join(NORMAL_FORMS.values())} from events").fetchall()
        row = dict(zip(NORMAL_FORMS, formed, strict=True))
        assert row == {**dict.fromkeys(TITLE_FIELDS, name), "device_type": device}


def test_every_rule_has_a_name_of_its_own_and_now_playing_has_none():
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert list_rules("now_playing", "reject") == list_rules("now_playing", "flag") == ()


@pytest.mark.parametrize("name", build_documents(ROOT))
def test_the_committed_documents_are_those_that_the_contract_generates(name):
    assert (ROOT / name).read_text() == build_documents(ROOT)[name], "run python -m soundlake.contract.documents"


def test_documents_are_written_below_the_given_folder(tmp_path):
    write_documents(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(build_documents(tmp_path))


def test_all_schemas_name_the_same_fields_with_the_same_kinds():
    ddl = dict(part.split(" ") for part in build_spark_ddl().split(", "))
    dbt = {column["name"]: column["data_type"] for column in build_dbt_columns()}
    wire = build_json_schema()["properties"]
    assert list(ddl) == EVENT_SCHEMA.names == [field.name for field in FIELDS]
    assert list(dbt) == BRONZE_SCHEMA.names == [field.name for field in (*FIELDS, *BRONZE_FIELDS)]
    assert list(wire) == [name for name in EVENT_SCHEMA.names if name != "extra"]
    spark_of = {"string": "STRING", "int64": "BIGINT", "bool": "BOOLEAN", "timestamp[us, tz=UTC]": "TIMESTAMP"}
    dbt_of = {"STRING": "varchar", "BIGINT": "bigint", "BOOLEAN": "boolean", "TIMESTAMP": "timestamp with time zone"}
    json_of = {"STRING": "string", "BIGINT": "integer", "BOOLEAN": "boolean", "TIMESTAMP": "string"}
    for field in FIELDS:
        spark = ddl[field.name]
        assert spark == spark_of[str(EVENT_SCHEMA.field(field.name).type)]
        assert dbt[field.name] == dbt_of[spark]
        if field.name in wire:
            assert wire[field.name]["type"] == (json_of[spark] if field.required and not field.set_by_topic else [json_of[spark], "null"])


def test_the_json_schema_requires_what_no_topic_can_set():
    schema = build_json_schema()
    assert schema["required"] == ["event_id", "played_at"]
    assert schema["properties"]["event_type"] == {
        "type": ["string", "null"], "enum": ["play", "skip", "like", "playlist", "now_playing", None],
        "description": "what happened; required on user_history, set by the topic elsewhere",
    }  # fmt: skip
    assert schema["properties"]["source"]["examples"][:2] == ["generator", "spotify_recent"]


def test_ids_are_uuid5_of_the_key_in_the_namespace_of_the_source():
    keys = ["", "a|b", "夜に駆ける", "x" * 5_000]
    assert make_event_ids("lastfm", keys).to_pylist() == [str(uuid5(make_namespace("lastfm"), key)) for key in keys]
    assert make_event_ids("lastfm", ["a"]) != make_event_ids("listenbrainz", ["a"])
    assert make_event_ids("lastfm", []).to_pylist() == []


def test_ids_stay_what_they_were_in_every_release():
    assert make_event_ids("spotify_export", ["key"]).to_pylist() == ["01c690de-6288-52ea-902d-ac73385a8a57"]
    assert UUID("01c690de-6288-52ea-902d-ac73385a8a57").version == 5


def test_a_refused_row_is_rejected_for_the_reason_of_its_importer():
    row = {"ts": "2020-01-01T00:00:00Z", "ms_played": float("nan"), "title": "\ud800"}
    found = decode_record(HISTORY, wrap_refused_row("names_nothing", "spotify_export", "me", row), 0)
    assert found == Rejection("names_nothing", "a row of spotify_export, refused by the import, of me")


def test_a_refused_row_has_the_same_bytes_whatever_the_order_of_its_fields():
    assert wrap_refused_row("odd", "s", "u", {"a": 1, "b": {"c": 2, "d": 3}}) == wrap_refused_row(
        "odd", "s", "u", {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert json.loads(json.loads(wrap_refused_row("odd", "s", "u", {"a": 1}))["_refused"]["row"]) == {"a": 1}


@pytest.mark.parametrize("reason", ["", "Not A Word", "1st", "ü"])
def test_a_reason_that_is_not_a_word_is_an_error(reason):
    with pytest.raises(ValueError, match="reason"):
        wrap_refused_row(reason, "s", "u", {})


def test_reasons_have_the_form_of_those_of_importers():
    assert all(re.fullmatch("[a-z][a-z0-9_]*", reason) for reason in REJECTION_REASONS)
