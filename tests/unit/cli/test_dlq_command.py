"""`soundlake dlq` as it is typed: list in terminals of several widths, show, replay."""

from __future__ import annotations

import base64
import json
import uuid
from contextlib import closing

import pytest
from typer.testing import CliRunner

from soundlake import wiring
from soundlake.cli.app import app
from soundlake.contract import TOPICS
from soundlake.settings import load_settings

LIKE = {"event_type": "like", "user_id": "ann", "played_at": "2026-11-22T16:00:00Z", "track_name": "夜に駆ける"}
UNSAFE = b"\x1b[31mnonsense\x07 " + b"[bold]x[/bold] " * 20


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs `soundlake dlq …` in a terminal of that width; returns the result."""
    monkeypatch.setenv("SOUNDLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("SOUNDLAKE_TOPIC_PARTITIONS", "1")

    def run_command(*arguments, columns=200):
        monkeypatch.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, ["dlq", *arguments])

    return run_command


@pytest.fixture
def rejected(run):
    """Three likes and a text without meaning on user_plays, all rejected."""
    settings = load_settings()
    likes = [json.dumps(LIKE | {"event_id": str(uuid.UUID(int=number))}, ensure_ascii=False).encode() for number in (1, 2, 3)]
    with closing(wiring.open_broker(settings)) as broker:
        broker.create_topics(TOPICS, partitions=1)
        broker.append("user_plays", [b"ann"] * 4, [*likes, UNSAFE])
        wiring.build_sink(settings, broker, wiring.open_lake(settings)).run(until_drained=True)
    return likes


def list_records(output):
    """The lines of the last table, its header first."""
    return output[output.index("The newest") :].splitlines()[1:]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_each_record_is_one_line_that_fits_the_terminal(run, rejected, columns):
    result = run("list", columns=columns)
    header, *records = list_records(result.stdout)
    assert len(records) == 4
    assert max(map(len, result.stdout.splitlines())) <= columns
    assert {line.split("user_plays/0/")[1].split()[0] for line in records} == {"0", "1", "2", "3"}
    assert sum("wrong_topic" in line for line in records) == 3
    assert header.split()[-1] == "value"
    assert "\x1b[31m" not in result.stdout


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_the_most_important(run, rejected):
    wide, narrow = (list_records(run("list", columns=columns).stdout)[0] for columns in (200, 80))
    assert wide.split() == ["rejected", "at", "(UTC)", "id", "reason", "bytes", "replayed", "detail", "value"]
    assert narrow.split() == ["rejected", "at", "(UTC)", "id", "reason", "value"]


def test_the_listing_as_json_names_the_id_and_every_field(run, rejected):
    listing = json.loads(run("list", "--json", "--limit", "1").stdout)
    assert (listing["total"], listing["replayed"]) == (4, 0)
    assert listing["by_reason"] == {"wrong_topic": 3, "not_json": 1}
    [record] = listing["records"]
    assert record["id"] == "user_plays/0/3"
    assert {"log", "detail", "key", "bytes", "preview", "rejected_at"} <= set(record)


@pytest.mark.parametrize("columns", [80, 200])
def test_show_prints_one_record_whole_and_escaped(run, rejected, columns):
    result = run("show", "user_plays/0/3", columns=columns)
    fields = result.stdout.replace("\n", " ")
    assert "not_json" in fields
    assert f"{len(UNSAFE):,}" in fields
    assert "\x1b" not in result.stdout
    assert "\\x1b[31mnonsense\\x07" in "".join(line.strip() for line in result.stdout.splitlines())
    assert "".join(result.stdout.split()).count("[bold]x[/bold]") == 20
    assert max(map(len, result.stdout.splitlines())) <= columns


def test_show_as_json_has_the_bytes(run, rejected):
    record = json.loads(run("show", "user_plays/0/3", "--json").stdout)
    assert base64.b64decode(record["value_base64"]) == UNSAFE
    assert (record["id"], record["topic"], record["partition"], record["offset"]) == ("user_plays/0/3", "user_plays", 0, 3)
    assert (record["reason"], record["key"], record["replay"]) == ("not_json", "ann", None)


def test_show_of_an_unknown_id_is_wrong_use(run, rejected):
    assert run("show", "user_plays/0/99").exception.exit_code == 2
    assert run("show", "user_plays").exception.exit_code == 2


def test_replay_as_json_counts_what_was_published_and_what_was_not(run, rejected):
    result = run("replay", "--to", "user_likes", "--json")
    assert result.exit_code == 0, result.exception
    report = json.loads(result.stdout)
    assert (report["replayed"], report["still_rejected"], report["failed"]) == (3, {"not_json": 1}, {})
    with closing(wiring.open_broker(load_settings())) as broker:
        records = broker.fetch("user_likes", 0, 0, max_records=9, max_bytes=10**6)
    assert records.values.to_pylist() == rejected
    again = json.loads(run("replay", "--to", "user_likes", "--json").stdout)
    assert (again["replayed"], again["replayed_before"]) == (0, 3)
    assert {record["replay"] for record in json.loads(run("list", "--json").stdout)["records"]} == {"published", None}


def test_replay_without_json_prints_the_counts(run, rejected):
    result = run("replay", "--to", "user_likes")
    assert result.exit_code == 0
    words = [line.split() for line in result.stdout.splitlines() if line]
    assert words == [["Replay"], ["replayed", "3"], ["still", "rejected:", "not_json", "1"]]


def test_an_empty_queue_is_listed_and_replayed(run):
    listing = json.loads(run("list", "--json").stdout)
    assert listing == {"total": 0, "replayed": 0, "by_reason": {}, "by_topic": {}, "records": []}
    assert "none" in run("list").stdout
    assert json.loads(run("replay", "--json", "--since", "2h").stdout)["replayed"] == 0


def test_wrong_options_name_what_is_possible(run):
    assert "user_plays" in str(run("list", "--topic", "plays").exception)
    assert "neither a time nor a duration" in str(run("list", "--since", "soon").exception)
